import gc

from helpers import write_raster
from qgis.core import QgsPalettedRasterRenderer, QgsProcessingContext, QgsRasterLayer

from flair_qgis.styling import StylePostProcessor, apply_style, paletted_renderer

CLASSES = [{"code": 1, "name": "building", "color": "#db0e9a"}, {"code": 18, "name": "greenhouse", "color": "#9999ff"}]


def legend(layer):
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    return [(item.value, item.label, item.color.name()) for item in layer.renderer().classes()]


EXPECTED = [(1, "Building", "#db0e9a"), (18, "Greenhouse", "#9999ff")]


def test_renderer_has_exactly_the_classes(tmp_path):
    layer = QgsRasterLayer(write_raster(tmp_path / "map.tif", bands=1), "map")
    layer.setRenderer(paletted_renderer(layer.dataProvider(), CLASSES))
    assert legend(layer) == EXPECTED


def test_style_file_wins(tmp_path):
    layer = QgsRasterLayer(write_raster(tmp_path / "map.tif", bands=1), "map")
    layer.setRenderer(paletted_renderer(layer.dataProvider(), CLASSES))
    layer.saveNamedStyle(str(tmp_path / "style.qml"))
    fresh = QgsRasterLayer(str(tmp_path / "map.tif"), "fresh")
    assert apply_style(fresh, tmp_path / "style.qml", [{"code": 3, "name": "x", "color": "#000000"}])
    assert legend(fresh) == EXPECTED


def test_damaged_style_file_falls_back_to_the_classes(tmp_path):
    layer = QgsRasterLayer(write_raster(tmp_path / "map.tif", bands=1), "map")
    (tmp_path / "style.qml").write_text("<nonsense")
    assert apply_style(layer, tmp_path / "style.qml", CLASSES)
    assert legend(layer) == EXPECTED
    assert not apply_style(QgsRasterLayer("nowhere.tif", "x"), None, CLASSES)


def test_post_processor_survives_garbage_collection(tmp_path, feedback):
    layer = QgsRasterLayer(write_raster(tmp_path / "map.tif", bands=1), "map")
    context = QgsProcessingContext()
    details = QgsProcessingContext.LayerDetails("map", None)

    def make():
        processor = StylePostProcessor()
        processor.classes = CLASSES
        details.setPostProcessor(processor)

    make()
    gc.collect()
    details.postProcessor().postProcessLayer(layer, context, feedback)
    assert legend(layer) == EXPECTED


def test_post_processor_without_any_legend_warns(tmp_path, feedback):
    layer = QgsRasterLayer(write_raster(tmp_path / "map.tif", bands=1), "map")
    StylePostProcessor().postProcessLayer(layer, QgsProcessingContext(), feedback)
    assert len(feedback.warnings) == 1
