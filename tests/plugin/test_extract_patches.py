# ruff: noqa: N802 - the names of Qt
"""flair:extractpatches with a stand-in for the engine: what it asks for, and what it gives back."""

from pathlib import Path

import processing
import pytest
from helpers import Feedback, polygons, write_raster
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsField,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputHtml,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById("flair:extractpatches")


def run(parameters, context, feedback):
    return processing.run(
        "flair:extractpatches", parameters, context=context, feedback=feedback, is_child_algorithm=True
    )


@pytest.fixture
def layer(labels):
    """The polygons as a layer of the project."""
    made = QgsVectorLayer(labels, "parcels", "ogr")
    assert made.featureCount() == 3
    QgsProject.instance().addMapLayer(made)
    return made


def test_parameters_and_outputs():
    found = algorithm()
    names = [item.name() for item in found.parameterDefinitions()]
    assert names[:7] == ["IMAGE", "LABELS", "CLASS_FIELD", "LABELS_RASTER", "CLASSES", "BANDS", "AREA"]
    required = [item.name() for item in found.parameterDefinitions() if not item.flags() & item.FlagOptional]
    assert [name for name in required if found.parameterDefinition(name).defaultValue() is None] == ["IMAGE", "OUTPUT"]
    outputs = {item.name(): item for item in found.outputDefinitions()}
    assert set(outputs) == {"OUTPUT", "TABLE", "TRAIN_PATCHES", "VAL_PATCHES", "TEST_PATCHES"}
    # what makes QGIS show it in the viewer of results
    assert isinstance(outputs["TABLE"], QgsProcessingOutputHtml)
    assert found.parameterDefinition("TABLE").createByDefault()
    assert found.parameterDefinition("CLASS_FIELD").parentLayerParameterName() == "LABELS"
    assert (found.group(), found.groupId()) == ("2. Training", "training")


def test_all_values_arrive(fake_engine, image, labels, tmp_path, context, feedback):
    mapping = tmp_path / "classes.yaml"
    mapping.write_text("Wald: 7\nHaus: 1\n")
    output = tmp_path / "set"
    parameters = {"IMAGE": [image], "LABELS": labels, "CLASS_FIELD": "landuse", "CLASSES": str(mapping)}
    parameters.update({"BANDS": "red=3, green=2, blue=1", "PATCH_SIZE": 128, "OVERLAP": 32, "LABELLED": 0.25})
    parameters.update({"VAL_SHARE": 0.2, "TEST_SHARE": 0.1, "BLOCK": 3, "SEED": 7, "NODATA": 0, "OVERWRITE": False})
    parameters.update({"GROUND_SAMPLING_DISTANCE": 0.3, "OUTPUT": str(output), "TABLE": str(tmp_path / "t.html")})
    result = run(parameters, context, feedback)
    assert fake_engine.record["request"]["command"] == "extract-patches"
    assert fake_engine.options == {
        "image": [image],
        "labels": labels.partition("|")[0],
        "label_layer": "parcels",
        "class_field": "landuse",
        "classes": str(mapping),
        "nomenclature": "flair",
        "bands": {"red": 3, "green": 2, "blue": 1},
        "patch_size": 128,
        "overlap": 32,
        "labelled": 0.25,
        "val_share": 0.2,
        "test_share": 0.1,
        "block": 3,
        "seed": 7,
        "nodata": 0,
        "ground_sampling_distance": 0.3,
        "overwrite": False,
        "output": str(output),
    }
    assert result == {
        "OUTPUT": str(output),
        "TABLE": str(tmp_path / "t.html"),
        "TRAIN_PATCHES": 3,
        "VAL_PATCHES": 1,
        "TEST_PATCHES": 0,
    }
    assert (output / "dataset.yaml").is_file()


def test_defaults_leave_choices_to_the_engine(fake_engine, image, labels, context, feedback):
    result = run({"IMAGE": [image], "LABELS": labels, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    options = fake_engine.options
    assert options["output"] == result["OUTPUT"]
    assert Path(options["output"]).is_dir()
    # of the image: the name that reports and models will show
    assert Path(options["output"]).name == "image"
    assert options["overwrite"] is True
    assert options["patch_size"] == 512
    left = {"class_field", "classes", "bands", "area", "block", "nodata", "ground_sampling_distance", "crs"}
    assert not left & set(options)


def test_table_is_a_page(fake_engine, image, labels, tmp_path, context, feedback):
    parameters = {"IMAGE": [image], "LABELS": labels, "OUTPUT": str(tmp_path / "set & more")}
    run({**parameters, "TABLE": str(tmp_path / "table.html")}, context, feedback)
    page = (tmp_path / "table.html").read_text(encoding="utf-8")
    assert "Pixels by class: set &amp; more" in page
    # water: code 5, 5000 of 24 000 pixels for training
    row = page[page.index("water") - 120 : page.index("water") + 120]
    assert 'bgcolor="#1553ae"' in row
    assert "5&nbsp;000" in row
    assert "20.8&nbsp;%" in row
    assert "3 patches" in page
    assert "<script" not in page


def test_table_is_not_needed(fake_engine, image, labels, tmp_path, context, feedback):
    parameters = {"IMAGE": [image], "LABELS": labels, "OUTPUT": str(tmp_path / "set"), "TABLE": None}
    assert "TABLE" not in run(parameters, context, feedback)


def rows(fake_engine):
    return [(row["landuse"], row["code"]) for row in fake_engine.record["labels"]["rows"]]


def test_polygons_in_memory(fake_engine, image, context, feedback):
    fake_engine.mode("inspect")
    memory = polygons(4326)
    QgsProject.instance().addMapLayer(memory)
    run({"IMAGE": [image], "LABELS": memory.id(), "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert rows(fake_engine) == [("Wald", 1), ("Haus", 2), ("Wald", 3)]
    # the engine brings them to the image's CRS itself
    assert fake_engine.record["labels"]["crs"] == "4326"
    assert "label_layer" not in fake_engine.options


def test_file_is_not_copied(fake_engine, image, layer, labels, context, feedback):
    fake_engine.mode("inspect")
    run({"IMAGE": [image], "LABELS": layer.id(), "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert fake_engine.options["labels"] == labels.partition("|")[0]
    assert len(rows(fake_engine)) == 3


def changed_filter(layer):
    layer.setSubsetString("\"landuse\"='Haus'")
    return layer.id(), [("Haus", 2)]


def changed_selection(layer):
    layer.selectByExpression('"code"=3')
    return QgsProcessingFeatureSourceDefinition(layer.id(), True), [("Wald", 3)]


def changed_edits(layer):
    layer.startEditing()
    layer.deleteFeature(1)
    layer.changeAttributeValue(2, layer.fields().indexOf("landuse"), "Garten")
    return layer.id(), [("Garten", 2), ("Wald", 3)]


@pytest.mark.parametrize("change", [changed_filter, changed_selection, changed_edits])
def test_what_the_person_sees_is_what_is_learnt(fake_engine, image, layer, context, feedback, change):
    fake_engine.mode("inspect")
    value, wanted = change(layer)
    run({"IMAGE": [image], "LABELS": value, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert rows(fake_engine) == wanted
    if layer.isEditable():
        layer.rollBack()


def test_crs_chosen_in_qgis_and_virtual_field(fake_engine, image, layer, context, feedback):
    fake_engine.mode("inspect")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    layer.addExpressionField('"code" * 10', QgsField("tenfold", QVariant.Int))
    parameters = {"IMAGE": [image], "LABELS": layer.id(), "CLASS_FIELD": "tenfold", "OUTPUT": "TEMPORARY_OUTPUT"}
    run(parameters, context, feedback)
    assert fake_engine.record["labels"]["crs"] == "3857"
    assert [row["tenfold"] for row in fake_engine.record["labels"]["rows"]] == [10, 20, 30]


def test_raster_labels(fake_engine, image, tmp_path, context, feedback):
    raster = write_raster(tmp_path / "labels.tif", bands=1, value=6)
    run({"IMAGE": [image], "LABELS_RASTER": raster, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert fake_engine.options["labels"] == raster
    assert not {"label_layer", "class_field"} & set(fake_engine.options)


def test_raster_labels_in_a_crs_chosen_in_qgis(fake_engine, image, tmp_path, context, feedback):
    fake_engine.mode("inspect")
    raster = QgsRasterLayer(write_raster(tmp_path / "bare.tif", bands=1, value=6, epsg=None), "bare")
    raster.setCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    QgsProject.instance().addMapLayer(raster)
    run({"IMAGE": [image], "LABELS_RASTER": raster.id(), "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    found = fake_engine.record["label_raster"]
    assert 'ID["EPSG",2154]' in found["coordinateSystem"]["wkt"].replace("\n", "")
    assert found["bands"][0]["computedMin"] == 7
    assert found["geoTransform"][0] == 700000.0


def test_area_arrives_in_the_crs_of_the_image(fake_engine, image, labels, context, feedback):
    fake_engine.mode("inspect")
    area = polygons(4326)
    QgsProject.instance().addMapLayer(area)
    parameters = {"IMAGE": [image], "LABELS": labels, "AREA": area.id(), "OUTPUT": "TEMPORARY_OUTPUT"}
    run(parameters, context, feedback)
    extent, count, code = fake_engine.record["area"]
    assert (count, code) == (3, "2154")
    assert extent == pytest.approx([700000, 700002.8, 6599998.5, 6599999.5], abs=0.02)


class Service(QgsRasterLayer):
    """A layer that says it is drawn by a service."""

    def providerType(self):
        return "wms"


def test_service_is_copied_where_the_labels_lie(fake_engine, image, tmp_path, context, feedback, monkeypatch):
    from flair_qgis import layers

    asked = []

    def copy(extract, folder, *_):
        asked.append(extract)
        folder.mkdir()
        gdal.Translate(str(folder / "copy.tif"), image)
        return folder / "copy.tif"

    plan = layers.Extract.plan
    monkeypatch.setattr(layers.Extract, "plan", staticmethod(lambda *values: asked.append(values) or plan(*values)))
    monkeypatch.setattr(layers, "copy_extract", copy)
    service = Service(image, "service")
    memory = polygons(4326)
    QgsProject.instance().addMapLayers([service, memory])
    parameters = {"IMAGE": [service], "LABELS": memory.id(), "OUTPUT": "TEMPORARY_OUTPUT"}
    run({**parameters, "GROUND_SAMPLING_DISTANCE": 0.4}, context, feedback)
    _, _, _, box, crs, distance, margin = asked[0]
    assert crs.authid() == "EPSG:2154"
    corners = [box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum()]
    assert corners == pytest.approx([700000, 700002.8, 6599998.5, 6599999.5], abs=0.05)
    assert (distance, margin) == (0.4, 0)
    (path,) = fake_engine.options["image"]
    assert path.endswith("copy.tif")
    assert fake_engine.record["files"] == {path: True}


def test_checks_before_the_run(image, labels, tmp_path):
    good = {"IMAGE": [image], "LABELS": labels, "OUTPUT": str(tmp_path / "set")}
    raster = write_raster(tmp_path / "codes.tif", bands=1)
    context = QgsProcessingContext()
    assert algorithm().checkParameterValues(good, context) == (True, "")
    assert algorithm().checkParameterValues({**good, "CLASSES": "Wald=7, a=b=1 , Haus=building"}, context)[0]
    for change, part in (
        ({"LABELS": None}, "No labels are given. Choose a layer"),
        ({"LABELS_RASTER": raster}, "given twice"),
        ({"CLASS_FIELD": "klasse"}, 'no field "klasse". Their fields: fid, landuse, code.'),
        ({"CLASSES": "Wald"}, 'Classes: "Wald" is not name=code.'),
        ({"CLASSES": "Wald=7,=1"}, '"=1" is not name=code'),
        ({"CLASSES": "/nowhere/classes.yaml"}, "There is no file /nowhere/classes.yaml."),
        ({"NOMENCLATURE": "/nowhere/mine.yaml"}, "There is no file /nowhere/mine.yaml."),
        ({"BANDS": "red"}, "is not name=number"),
        ({"BANDS": "red=4"}, "has 3 bands"),
        ({"PATCH_SIZE": 250}, "no multiple of 32. Choose 256."),
        ({"PATCH_SIZE": 128, "OVERLAP": 128}, "smaller overlap"),
        ({"VAL_SHARE": 0.5, "TEST_SHARE": 0.5}, "nothing to learn from"),
        ({"IMAGE": ["/nowhere/image.tif"]}, "There is no image /nowhere/image.tif."),
        ({"OUTPUT": None}, "OUTPUT"),
    ):
        valid, message = algorithm().checkParameterValues({**good, **change}, context)
        assert not valid, change
        assert part in message, message


def test_a_service_holds_no_classes(image, labels, tmp_path):
    service = Service(image, "plan")
    parameters = {"IMAGE": [image], "LABELS_RASTER": service, "OUTPUT": str(tmp_path / "set")}
    valid, message = algorithm().checkParameterValues(parameters, QgsProcessingContext())
    assert not valid
    assert 'The labels "plan" are a picture drawn by a service' in message


def test_mistakes_are_found_in_a_step_of_a_model_too(fake_engine, image, labels, context, feedback):
    """A model does not make the checks of its steps before it runs them."""
    parameters = {"IMAGE": [image], "LABELS": labels, "CLASS_FIELD": "klasse", "OUTPUT": "TEMPORARY_OUTPUT"}
    _, success = algorithm().run(parameters, context, feedback)
    assert not success
    assert feedback.errors == ['The labels have no field "klasse". Their fields: fid, landuse, code.']
    assert not (fake_engine.folder / "record.json").exists()


def test_engine_error_is_raised(fake_engine, image, labels, tmp_path, context, feedback):
    fake_engine.mode("error")
    with pytest.raises(QgsProcessingException, match=r"The image has no CRS\. Set one\."):
        run({"IMAGE": [image], "LABELS": labels, "OUTPUT": str(tmp_path / "set")}, context, feedback)
    assert not (tmp_path / "set").exists()


def test_cancel(fake_engine, image, labels, tmp_path, context):
    fake_engine.mode("hang")
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run({"IMAGE": [image], "LABELS": labels, "OUTPUT": str(tmp_path / "set")}, context, Feedback(cancel_after=1.0))
