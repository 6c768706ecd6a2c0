"""The groups of the algorithms, as the toolbox sorts them."""

import pytest
from qgis.core import QgsApplication
from qgis.gui import QgsProcessingToolboxProxyModel

from flair_qgis import i18n
from flair_qgis.groups import ORDER, group_title


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_toolbox_lists_them_in_the_order_of_work(qgis_app, monkeypatch, language):
    monkeypatch.setattr(i18n, "language", lambda: language)
    model = QgsProcessingToolboxProxyModel(None, QgsApplication.processingRegistry())
    places = [model.index(row, 0) for row in range(model.rowCount())]
    ours = next(place for place in places if place.data() == i18n.tr("FLAIR land cover"))
    listed = [model.index(row, 0, ours).data() for row in range(model.rowCount(ours))]
    assert listed == [f"{place}. {group_title(name)}" for place, name in enumerate(ORDER, 1)]
