"""Reads the data sets that the tests write with the programs that people use for each format.

    FLORENCE2_DATA_SETS=FOLDER npx vitest run tests/datasets/read_back.test.ts
    tests/reference/run data_sets FOLDER

Writes tests/fixtures/datasets/read_back.json. The packages are in requirements-datasets.txt. The schemas of ALTO 4.4 and PAGE 2019-07-15
are in no package; --schemas names a folder that has alto-4-4.xsd and pagecontent.xsd.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

OUTPUT = Path(__file__).resolve().parents[1] / "fixtures" / "datasets" / "read_back.json"


def quiet(call):
    with contextlib.redirect_stdout(io.StringIO()):
        return call()


def rounded(values, digits=4):
    return [round(float(value), digits) for value in values]


def coco(folder: Path) -> tuple[dict, dict]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    objects, areas, evaluated = {}, {}, []
    for name in ("train", "val"):
        truth = quiet(lambda: COCO(str(folder / "coco" / "annotations" / f"instances_{name}.json")))
        names = {category["id"]: category["name"] for category in truth.cats.values()}
        for image in truth.imgs.values():
            found = truth.loadAnns(truth.getAnnIds(image["id"]))
            objects[image["file_name"]] = [
                {
                    "label": names[own["category_id"]],
                    "box": rounded([own["bbox"][0], own["bbox"][1], own["bbox"][0] + own["bbox"][2], own["bbox"][1] + own["bbox"][3]]),
                    "score": own.get("score"),
                    "area": own["area"],
                }
                for own in found
            ]
            areas[image["file_name"]] = [int(truth.annToMask(own).sum()) if own["segmentation"] else -1 for own in found]
        results = quiet(lambda: truth.loadRes(str(folder / "coco" / "annotations" / f"results_{name}.json")))
        evaluation = COCOeval(truth, results, "bbox")
        quiet(lambda: (evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()))
        evaluated.append(round(float(evaluation.stats[0]), 6))
    crowd = quiet(lambda: COCO(str(folder / "coco-crowd" / "annotations" / "instances_train.json")))
    annotation = next(own for own in crowd.anns.values() if own["iscrowd"])
    areas["crowd.png"] = [int(crowd.annToMask(annotation).sum()), annotation["area"]]
    return objects, {"areas": areas, "evaluated": evaluated}


def by_image(dataset, root: Path) -> dict:
    found = {}
    for path, _, own in dataset:
        name = Path(path).resolve().relative_to(root.resolve()).as_posix()
        found[name] = [{"label": dataset.classes[k], "box": rounded(box)} for box, k in zip(own.xyxy, own.class_id)]
    return found


def supervision(folder: Path) -> dict:
    import supervision as sv

    found = {}
    for name in ("train", "val"):
        root = folder / "coco" / "images"
        found.setdefault("supervision coco", {}).update(
            by_image(quiet(lambda: sv.DetectionDataset.from_coco(str(root), str(folder / "coco" / "annotations" / f"instances_{name}.json"))), root)
        )
        for kind in ("yolo", "yolo-seg", "yolo-obb"):
            labels = folder / kind / "labels" / name
            for sub in sorted({path.parent.relative_to(labels) for path in labels.rglob("*.txt")}):
                root = folder / kind / "images" / name
                data = quiet(
                    lambda: sv.DetectionDataset.from_yolo(
                        str(root / sub), str(labels / sub), str(folder / kind / "data.yaml"), is_obb=kind == "yolo-obb"
                    )
                )
                found.setdefault(f"supervision {kind}", {}).update(by_image(data, root))
    root = folder / "voc" / "JPEGImages"
    for sub in sorted({path.parent.relative_to(root) for path in root.rglob("*.[pP]*")}):
        data = quiet(lambda: sv.DetectionDataset.from_pascal_voc(str(root / sub), str(folder / "voc" / "Annotations" / sub)))
        found.setdefault("supervision voc", {}).update(by_image(data, root))
    return found


def datumaro(folder: Path) -> dict:
    import datumaro as dm

    data = dm.Dataset.import_from(str(folder / "cvat" / "train"), "cvat")
    names = [label.name for label in data.categories()[dm.AnnotationType.label]]
    found = {}
    for item in data:
        own = []
        for annotation in item.annotations:
            x, y, w, h = annotation.get_bbox()
            entry = {"label": names[annotation.label], "box": rounded([x, y, x + w, y + h])}
            if annotation.attributes.get("text"):
                entry["text"] = annotation.attributes["text"]
            own.append(entry)
        found[f"{item.id}.png"] = own
    return found


def label_studio(folder: Path) -> tuple[dict, bool]:
    from label_studio_sdk.converter import Converter

    tasks = json.loads((folder / "labelstudio" / "train" / "tasks.json").read_text())
    config = (folder / "labelstudio" / "label_config.xml").read_text()
    # The converter exports annotations; predictions have the same form.
    for number, task in enumerate(tasks):
        task["id"] = number + 1
        task["annotations"] = [{"id": number + 1, "result": task["predictions"][0]["result"]}]
    work = folder / "labelstudio" / "sdk"
    work.mkdir(exist_ok=True)
    (work / "input.json").write_text(json.dumps(tasks))
    converter = Converter(config, project_dir=None, download_resources=False)
    quiet(lambda: converter.convert_to_coco(str(work / "input.json"), str(work / "out"), output_image_dir=str(work / "images"), is_dir=False))
    result = json.loads((work / "out" / "result.json").read_text())
    names = {category["id"]: category["name"] for category in result["categories"]}
    files = {image["id"]: image["file_name"] for image in result["images"]}
    found = {}
    for own in result["annotations"]:
        x, y, w, h = own["bbox"]
        found.setdefault(files[own["image_id"]].split("?d=")[-1], []).append(
            {"label": names[own["category_id"]], "box": rounded([x, y, x + w, y + h], 2)}
        )
    return found, True


def hugging_face(folder: Path) -> tuple[dict, dict]:
    import datasets

    classes = json.loads((folder / "hf" / "classes.json").read_text())
    data = datasets.load_dataset("imagefolder", data_dir=str(folder / "hf"), cache_dir=str(folder / "cache"))
    found, texts = {}, {}
    for split, own in data.items():
        own = own.cast_column("image", datasets.Image(decode=False))
        for row in own:
            name = Path(row["image"]["path"]).resolve().relative_to((folder / "hf" / ("train" if split == "train" else "val")).resolve()).as_posix()
            objects = row["objects"]
            found[name] = [
                {"label": classes[k], "box": rounded([x, y, x + w, y + h])}
                for (x, y, w, h), k in zip(objects["bbox"], objects["categories"])
            ]
            texts[name] = [row["text"] or ""]
    return found, texts


def parquet(folder: Path) -> tuple[dict, dict]:
    """Rows by pyarrow, after pandas and `datasets` have read the same."""
    import datasets
    import pandas
    import pyarrow.parquet

    path = folder / "parquet" / "objects.parquet"
    rows = pyarrow.parquet.read_table(path).to_pylist()
    frame = pandas.read_parquet(path)
    assert [list(row) for row in rows] == [list(frame.columns)] * len(frame)
    loaded = datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(folder / "cache"))["train"]
    assert loaded.to_list() == rows and list(frame["file"]) == [row["file"] for row in rows]
    found = {}
    for row in rows:
        own = found.setdefault(row["file"], [])
        if row["label"] is not None:
            entry = {"label": row["label"], "box": rounded([row[side] for side in ("x1", "y1", "x2", "y2")]), "score": row["score"]}
            own.append(entry | {"size": [row["width"], row["height"]], "split": row["split"]})
    captions = pyarrow.parquet.read_table(folder / "parquet" / "metadata.parquet").to_pylist()
    return found, {row["file_name"]: [row["text"]] for row in captions}


# ALTO borrows the names of attributes that its files here do not have from a schema that lies elsewhere.
XLINK = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">
<xs:attributeGroup name="simpleLink"/></xs:schema>"""


class LocalSchemas:
    """Answers for schemas that a schema names by address."""

    @staticmethod
    def parser():
        from lxml import etree

        class Resolver(etree.Resolver):
            def resolve(self, url, public_id, context):
                return self.resolve_string(XLINK, context) if url.endswith("xlink.xsd") else None

        parser = etree.XMLParser()
        parser.resolvers.add(Resolver())
        return parser


def pages(folder: Path, schemas: Path | None) -> tuple[dict, dict]:
    from lxml import etree, html

    def lines(path: Path, query: str, **names) -> list[str]:
        return [str(found) for found in etree.parse(str(path)).xpath(query, namespaces=names)]

    stem = folder / "hocr" / "c d" / "sign.hocr"
    check = subprocess.run([str(Path(sys.executable).parent / "hocr-check"), str(stem)], capture_output=True, text=True)
    failed = [line for line in (check.stdout + check.stderr).splitlines() if "not ok" in line or "Error" in line]
    valid: dict = {"hocr-check": check.returncode == 0 and not failed}
    texts = {
        "hocr": [" ".join("".join(line.itertext()).split()) for line in html.fromstring(stem.read_bytes()).xpath("//*[@class='ocr_line']")],
        "alto": [
            " ".join(line.xpath("a:String/@CONTENT", namespaces={"a": "http://www.loc.gov/standards/alto/ns-v4#"}))
            for line in etree.parse(str(folder / "alto" / "c d" / "sign.alto.xml")).xpath("//a:TextLine", namespaces={"a": "http://www.loc.gov/standards/alto/ns-v4#"})
        ],
        "page": lines(
            folder / "page" / "c d" / "sign.page.xml", "//p:Unicode/text()", p="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
        ),
    }
    for kind, file, schema in (("alto", "sign.alto.xml", "alto-4-4.xsd"), ("page", "sign.page.xml", "pagecontent.xsd")):
        if schemas and (schemas / schema).exists():
            document = etree.parse(str(folder / kind / "c d" / file))
            judge = etree.XMLSchema(etree.fromstring((schemas / schema).read_bytes(), LocalSchemas.parser(), base_url=str(schemas / schema)))
            valid[f"{kind} schema"] = judge.validate(document) or str(judge.error_log)
    return texts, valid


def pdf(folder: Path) -> dict:
    from pypdf import PdfReader

    page = PdfReader(str(folder / "pdf" / "sign.pdf"), strict=True).pages[0]
    places = []

    def visit(text, cm, tm, font, size):
        if text.strip():
            x = tm[4] * cm[0] + tm[5] * cm[2] + cm[4]
            y = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
            places.append({"text": text.strip(), "x": round(x, 3), "y": round(y, 3)})

    text = page.extract_text(visitor_text=visit)
    return {"text": text, "places": places, "box": rounded(page.mediabox), "images": len(page.images)}


def masks(folder: Path) -> dict:
    found = {}
    for kind in ("masks", "masks-index"):
        for path in sorted((folder / kind).rglob("*.png")):
            image = Image.open(path)
            found[f"{kind}/{path.relative_to(folder / kind).as_posix()}"] = int((np.asarray(image) > 0).sum())
    return found


def run_lengths() -> list[dict]:
    """Random masks, row after row, and pycocotools' text of their runs."""
    from pycocotools import mask

    random = np.random.default_rng(7)
    cases = []
    for height, width, share in ((1, 1, 0), (1, 1, 1), (5, 7, 0.5), (40, 60, 0.02), (200, 3, 0.9), (64, 64, 0)):
        pixels = (random.random((height, width)) < share).astype(np.uint8)
        text = mask.encode(np.asfortranarray(pixels))["counts"].decode()
        cases.append({"size": [height, width], "pixels": "".join(map(str, pixels.ravel())), "counts": text})
    return cases


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--schemas", type=Path)
    options = options.parse_args()
    folder = options.folder
    objects, details = coco(folder)
    all_objects = {"pycocotools": objects} | supervision(folder)
    all_objects["datumaro cvat"] = datumaro(folder)
    all_objects["label-studio-sdk"], _ = label_studio(folder)
    all_objects["datasets"], texts = hugging_face(folder)
    all_objects["pyarrow"], captions = parquet(folder)
    page_texts, valid = pages(folder, options.schemas)
    report = {
        "files": {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.relative_to(folder).parts[0] != "cache" and "sdk" not in path.parts and path.suffix.lower() not in (".png", ".cache", ".pdf")
        },
        "objects": all_objects,
        "coco": details,
        "texts": page_texts | {f"datasets {name}": text for name, text in texts.items()} | {f"pyarrow {name}": text for name, text in captions.items()},
        "valid": valid,
        "pdf": pdf(folder),
        "masks": masks(folder),
        "runLengths": run_lengths(),
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
