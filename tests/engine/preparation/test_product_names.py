from __future__ import annotations

import pytest

from engine.preparation.product_names import ProductName, read_name


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("35-2020-0350-6790-LA93-0M20-E080.jp2", ProductName("rgb", 2020, (350, 6790))),
        ("35-2020-0350-6790-LA93-0M20-IRC-E080.jp2", ProductName("irc", 2020, (350, 6790))),
        ("2A-2019-1175-6090-LA93-0M20-E080.jp2", ProductName("rgb", 2019, (1175, 6090))),
        ("974-2022-0315-7645-U40S-0M20-IRC-E100.jp2", ProductName("irc", 2022, (315, 7645))),
        ("971-2017-0640-1780-U20N-0M50-E080.tif", ProductName("rgb", 2017, (640, 1780))),
        ("LHD_FXX_0792_6272_MNT_O_0M50_LAMB93_IGN69.tif", ProductName("dtm", None, (792, 6272))),
        ("LHD_FXX_0792_6272_MNS_0M50_LAMB93_IGN69.tif", ProductName("dsm", None, (792, 6272))),
        ("LHD_FXX_0792_6272_MNH_O_0M50_LAMB93_IGN69.tif", ProductName("height", None, (792, 6272))),
        ("ortho_2021.tif", ProductName(None, 2021, None)),
        ("ortho.tif", ProductName()),
        ("0651_6861.tif", ProductName()),
        ("from_2019_to_2021.tif", ProductName()),
        ("120190.tif", ProductName()),
    ],
)
def test_what_names_tell(name, told):
    assert read_name(name) == told
