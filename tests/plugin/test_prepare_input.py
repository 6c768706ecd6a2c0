"""flair:prepareinput with a stand-in for the engine: what it asks for, and how the result is drawn."""

from pathlib import Path

import processing
import pytest
from helpers import Feedback, write_raster
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsMultiBandColorRenderer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputHtml,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
)

from flair_qgis.paths import managed_folder

RGB = "RGB"


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById("flair:prepareinput")


def run(parameters, context, feedback):
    parameters = {"OUTPUT": "TEMPORARY_OUTPUT", **parameters}
    return processing.run("flair:prepareinput", parameters, context=context, feedback=feedback, is_child_algorithm=True)


def problem(parameters, context):
    """What the dialog says before it runs; empty when it would run."""
    valid, message = algorithm().checkParameterValues({"OUTPUT": "TEMPORARY_OUTPUT", **parameters}, context)
    assert valid == (not message)
    return message


@pytest.fixture
def irc(tmp_path):
    return write_raster(tmp_path / "irc.tif", value=100)


@pytest.fixture
def heights(tmp_path):
    """A surface and a terrain model: DSM, DTM."""
    made = [write_raster(tmp_path / f"{name}.tif", bands=1, size=(8, 4), pixel=0.5) for name in ("dsm", "dtm")]
    return dict(zip(("DSM", "DTM"), ([path] for path in made), strict=True))


@pytest.fixture
def virtual(image):
    """A layer without a file that hands out values, as a coverage service does."""
    uri = (
        f"?crs=EPSG:2154&extent=700000,6599998,700004,6600000&width=8&height=4"
        f'&formula="image@1" * 2.5&image:uri={image}&image:provider=gdal'
    )
    layer = QgsRasterLayer(uri, "coverage", "virtualraster")
    if not layer.isValid():
        pytest.skip("this QGIS has no virtual rasters")
    QgsProject.instance().addMapLayer(layer)
    return layer


def add(layer):
    QgsProject.instance().addMapLayer(layer)
    return layer.id()


def test_parameters_and_outputs():
    found = algorithm()
    names = [item.name() for item in found.parameterDefinitions()]
    products = ["RGB", "RGB_FOLDER", "IRC", "IRC_FOLDER", "DSM", "DSM_FOLDER", "DTM", "DTM_FOLDER"]
    assert names[:8] == products
    shown = [item.name() for item in found.parameterDefinitions() if not item.flags() & item.FlagAdvanced]
    assert shown == [*products, "EXTENT", "GROUND_SAMPLING_DISTANCE", "OUTPUT", "REPORT"]
    outputs = {item.name(): item for item in found.outputDefinitions()}
    assert set(outputs) == {"OUTPUT", "REPORT", "BAND_NAMES", "PIXELS", "SECONDS"}
    # what makes QGIS show it in the viewer of results
    assert isinstance(outputs["REPORT"], QgsProcessingOutputHtml)
    assert (found.group(), found.groupId()) == ("1. Images and models", "inputs")


def test_all_values_arrive(fake_engine, image, irc, heights, tmp_path, context, feedback):
    output, report = tmp_path / "out.tif", tmp_path / "out.html"
    parameters = {"RGB": [image], "IRC": [irc], **heights, "EXTENT": "700001,700003,6599998.5,6599999.5 [EPSG:2154]"}
    parameters.update({"GROUND_SAMPLING_DISTANCE": 0.25, "FILL_DISTANCE": 3, "VALUE_RANGE": "0, 4095", "NODATA": 0})
    parameters.update({"BANDS": "red=3, green=2, blue=1", "INFRARED_BAND": 2, "HEIGHT_UNIT": "foot"})
    parameters.update({"CRS": "EPSG:2154", "ALLOW_MISMATCH": True, "OVERWRITE": False})
    result = run({**parameters, "OUTPUT": str(output), "REPORT": str(report)}, context, feedback)
    assert fake_engine.record["request"]["command"] == "prepare-input"
    assert fake_engine.options == {
        "rgb": [image],
        "irc": [irc],
        "dsm": heights["DSM"],
        "dtm": heights["DTM"],
        "extent": "700001.0,700003.0,6599998.5,6599999.5 [EPSG:2154]",
        "ground_sampling_distance": 0.25,
        "fill_distance": 3.0,
        "value_range": [0.0, 4095.0],
        "nodata": 0.0,
        "bands": {"red": 3, "green": 2, "blue": 1},
        "infrared_band": 2,
        "height_unit": "foot",
        "crs": "EPSG:2154",
        "allow_mismatch": True,
        "overwrite": False,
        "output": str(output),
        "report": str(report),
    }
    names = "red, green, blue, infrared, elevation"
    expected = {"OUTPUT": str(output), "REPORT": str(report), "BAND_NAMES": names, "PIXELS": 200, "SECONDS": 0.5}
    assert result == expected


def test_defaults_leave_choices_to_the_engine(fake_engine, image, context, feedback):
    result = run({"RGB": [image]}, context, feedback)
    assert set(fake_engine.options) == {"rgb", "output", "fill_distance", "height_unit", "allow_mismatch", "overwrite"}
    assert fake_engine.options["overwrite"] is True
    assert result["BAND_NAMES"] == "red, green, blue"
    assert "REPORT" not in result


def test_folders_of_tiles_go_to_the_engine_as_they_are(fake_engine, image, tmp_path, context, feedback):
    folders = {}
    for name in ("rgb", "irc", "dsm", "dtm"):
        folders[name] = tmp_path / f"{name} tiles"
        folders[name].mkdir()
    parameters = {f"{name.upper()}_FOLDER": str(path) for name, path in folders.items()}
    # four numbers are in the tiles' own CRS
    run({**parameters, "EXTENT": "1,2,3,4"}, context, feedback)
    assert {name: fake_engine.options[name] for name in folders} == {
        name: [str(path)] for name, path in folders.items()
    }
    assert fake_engine.options["extent"] == "1.0,2.0,3.0,4.0"
    run({**parameters, "EXTENT": "1,2,3,4 [EPSG:4326]", "RGB": [image]}, context, feedback)
    assert fake_engine.options["rgb"] == [image, str(folders["rgb"])]
    run({**parameters, "EXTENT": "1,2,3,4 [EPSG:4326]"}, context, feedback)
    assert fake_engine.options["extent"] == "1.0,2.0,3.0,4.0 [EPSG:4326]"


def test_extent_is_transformed_to_the_orthophoto(fake_engine, image, context, feedback):
    run({"RGB": [image], "EXTENT": "3.0000,3.00003,46.49998,46.5 [EPSG:4326]"}, context, feedback)
    text = fake_engine.options["extent"]
    assert text.endswith(" [EPSG:2154]")
    left, right, bottom, top = (float(value) for value in text.split(" ")[0].split(","))
    assert left == pytest.approx(700000, abs=2)
    assert right - left == pytest.approx(2.3, abs=0.3)
    assert top == pytest.approx(6600000, abs=2)
    assert top > bottom


def test_services_are_copied_for_the_extent_of_the_orthophoto(fake_engine, tiles, tmp_path, context, feedback):
    fake_engine.mode("inspect")
    layer, box = tiles
    part = write_raster(
        tmp_path / "paris.tif", epsg=3857, size=(40, 30), pixel=1.0, origin=(box.xMinimum() + 100, box.yMaximum() - 100)
    )
    run({"RGB": [part], "IRC": [add(layer)]}, context, feedback)
    (copy,) = fake_engine.record["products"]["irc"]
    assert copy["size"] == [40, 30]  # on the orthophoto's pixels: 0.66 m on the ground
    assert copy["geoTransform"][:2] == pytest.approx([box.xMinimum() + 100, 1.0], rel=3e-3)
    assert [band["computedMin"] for band in copy["bands"][:3]] == [10, 20, 200]
    # it is kept for the next run
    assert managed_folder() in Path(fake_engine.options["irc"][0]).parents
    assert Path(fake_engine.options["irc"][0]).exists()


def test_service_as_orthophoto(fake_engine, tiles, context, feedback):
    fake_engine.mode("inspect")
    layer, box = tiles
    assert "service" in problem({"RGB": [add(layer)]}, context)
    extent = f"{box.xMinimum()},{box.xMinimum() + 60},{box.yMaximum() - 60},{box.yMaximum()} [EPSG:3857]"
    run({"RGB": [layer.id()], "EXTENT": extent, "GROUND_SAMPLING_DISTANCE": 0.5}, context, feedback)
    (copy,) = fake_engine.record["products"]["rgb"]
    # 60 units of this CRS measure 39.5 m in Paris
    assert copy["size"][0] == pytest.approx(79, abs=1)
    assert fake_engine.options["extent"].endswith("[EPSG:3857]")


def test_heights_of_a_service_keep_their_values_and_pixels(fake_engine, image, virtual, tmp_path, context, feedback):
    fake_engine.mode("inspect")
    run({"RGB": [image], "HEIGHT": [virtual.id()]}, context, feedback)
    (copy,) = fake_engine.record["products"]["height"]
    assert copy["size"] == [8, 4]
    assert copy["bands"][0]["type"] in ("Float32", "Float64")
    assert copy["bands"][0]["computedMin"] == copy["bands"][0]["computedMax"] == 127.5


def test_pictures_are_no_heights(tiles, image, context):
    layer = add(tiles[0])
    message = problem({"RGB": [image], "HEIGHT": [layer], "EXTENT": "0,1,0,1"}, context)
    assert "it holds colours, not metres" in message
    assert "(WCS)" in message
    assert "one band" in problem({"RGB": [image], "NIR": [layer], "EXTENT": "0,1,0,1"}, context)


def test_crs_that_somebody_chose_in_qgis(fake_engine, heights, tmp_path, context, feedback):
    fake_engine.mode("inspect")
    bare = QgsRasterLayer(write_raster(tmp_path / "bare.tif", epsg=None), "bare")
    bare.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    run({"RGB": [add(bare)], **heights}, context, feedback)
    (seen,) = fake_engine.record["products"]["rgb"]
    assert 'ID["EPSG",2154]' in seen["coordinateSystem"]["wkt"]
    assert [band["computedMin"] for band in seen["bands"]] == [51, 52, 53]
    assert fake_engine.options["dsm"] == heights["DSM"]
    assert "crs" not in fake_engine.options


def test_files_without_crs(image, tmp_path, context):
    bare = write_raster(tmp_path / "bare.tif", bands=1, epsg=None)
    message = problem({"RGB": [image], "HEIGHT": [bare]}, context)
    assert 'The layer "bare" has no CRS. Set it' in message
    assert problem({"RGB": [image], "HEIGHT": [bare], "CRS": "EPSG:2154"}, context) == ""


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"RGB": []}, "No orthophoto is given. Choose its layers, or the folder"),
        ({"DSM": ["one"]}, "belong together"),
        ({"DTM": ["one"]}, "belong together"),
        ({"DSM": ["one"], "DTM": ["one"], "HEIGHT": ["one"]}, "The height above ground is given, and the models"),
        ({"IRC": ["three"], "NIR": ["one"]}, "The near infrared is given twice"),
        ({"IRC": ["one"]}, 'The layer "one" has 1 bands, and 3 are needed'),
        ({"RGB": ["one"]}, 'The layer "one" has 1 bands, and 3 are needed'),
        ({"HEIGHT": ["three"]}, 'The heights "three" have 3 bands'),
        ({"RGB": ["/nowhere/x.tif"]}, "There is no image /nowhere/x.tif"),
        ({"IRC": ["/nowhere/x.tif"]}, "There is no image /nowhere/x.tif"),
        ({"RGB": ["."]}, ". is a folder, not an image. Choose the images in it, or give it where a folder"),
        ({"IRC_FOLDER": "/nowhere"}, "There is no folder /nowhere"),
        ({"BANDS": "red=4"}, 'Bands: red=4, but the layer "three" has 3 bands'),
        ({"BANDS": "infrared=1"}, 'the orthophoto has no band "infrared"'),
        ({"INFRARED_BAND": 1}, "number of the infrared band is given, but no infrared"),
        ({"PERCENTILES": "99,1"}, 'Percentiles: "99,1" is not low,high'),
        ({"PERCENTILES": "one"}, 'Percentiles: "one" is not low,high'),
        ({"PERCENTILES": "0,101"}, "Percentiles lie between 0 and 100"),
        ({"VALUE_RANGE": "5"}, 'Range of values: "5" is not low,high'),
        ({"PERCENTILES": "1,99", "VALUE_RANGE": "0,4095"}, "exclude each other"),
    ],
)
def test_what_is_wrong_is_said_before_the_run(parameters, message, tmp_path, context):
    files = {"one": write_raster(tmp_path / "one.tif", bands=1), "three": write_raster(tmp_path / "three.tif")}

    def path(value):
        return [files.get(item, item) for item in value] if isinstance(value, list) else value

    given = {name: path(value) for name, value in {"RGB": ["three"], **parameters}.items()}
    assert message in problem(given, context)


def test_mistakes_inside_a_chain_end_it(fake_engine, image, context, feedback):
    """The modeler does not make the checks for its steps."""
    found = algorithm()
    for parameters, message in (
        ({"RGB": [image], "DSM": [image]}, "belong together"),
        ({"RGB": ["/no.tif"]}, "/no.tif"),
    ):
        with pytest.raises(QgsProcessingException, match=message):
            found.prepareAlgorithm({"OUTPUT": "TEMPORARY_OUTPUT", **parameters}, context, feedback)


def test_a_vrt_points_to_nothing_temporary(fake_engine, virtual, image, tmp_path, context, feedback):
    output = str(tmp_path / "out.vrt")
    run({"RGB": [image], "OUTPUT": output}, context, feedback)
    assert fake_engine.options["output"] == output
    with pytest.raises(QgsProcessingException, match=r"only points to files.*\.tif"):
        run({"RGB": [image], "HEIGHT": [virtual.id()], "OUTPUT": output}, context, feedback)


def test_result_is_drawn_in_its_colours(fake_engine, image, irc, tmp_path):
    context, feedback, found = QgsProcessingContext(), Feedback(), algorithm()
    context.setProject(QgsProject.instance())
    output = QgsProcessingOutputLayerDefinition(str(tmp_path / "out.tif"), QgsProject.instance())
    _, success = found.run({"RGB": [image], "IRC": [irc], "OUTPUT": output}, context, feedback)
    assert success, feedback.errors
    from processing.gui.Postprocessing import handleAlgorithmResults

    assert handleAlgorithmResults(found, context, feedback)
    (layer,) = QgsProject.instance().mapLayers().values()
    assert layer.name() == "Prepared image"
    renderer = layer.renderer()
    assert isinstance(renderer, QgsMultiBandColorRenderer)
    assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (1, 2, 3)
    assert renderer.alphaBand() == -1
    block = renderer.block(1, layer.extent(), 2, 2)
    color = block.image().pixelColor(0, 0)
    assert (color.red(), color.green(), color.blue(), color.alpha()) == (10, 20, 30, 255)


def test_cancelled_while_the_engine_works(fake_engine, image, context):
    fake_engine.mode("slow")
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run({"RGB": [image]}, context, Feedback(cancel_after=1.0))


def test_copies_do_not_stay(fake_engine, image, virtual, context, feedback):
    fake_engine.mode("error")
    with pytest.raises(QgsProcessingException, match="The image has no CRS"):
        run({"RGB": [image], "HEIGHT": [virtual.id()]}, context, feedback)
    assert not Path(fake_engine.options["height"][0]).parent.exists()
    assert gdal.Open(image) is not None
