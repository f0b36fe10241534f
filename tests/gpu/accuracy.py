"""Trains on the device and holds what comes out against the CPU: against recorded figures on images that winnow makes itself,
which are the same everywhere, and side by side on Fashion-MNIST where its files are."""
import json
import os
import pathlib

from common import Failed

RECORDED = pathlib.Path(__file__).with_name("cpu_references.json")
# From the CPU's figures in f32: for losses relative and 0.01 besides, absolute for accuracies. In f32 only the order of sums
# differs. bf16 leads these short trainings elsewhere, on the CPU itself: LeNet-5 to a loss 11 % higher and 2.9 points of
# accuracy lower, ResNet-20 to 50 % and 6.1 points. So there only a training that goes wrong is found.
LIMITS = {"f32": {"train_loss": 0.03, "test_acc": 0.02}, "bf16": {"train_loss": 1.0, "test_acc": 0.12}}
SEED_LIMIT = 0.015  # of a test accuracy after whole epochs of Fashion-MNIST: two seeds of one device differ by less

SYNTHETIC = "{{name: synthetic, height: {size}, width: {size}, channels: {channels}, examples: {examples}, test_examples: 1000, noise: 0.5, validation: 0}}"


def sweep(model, data, train, replicates=1):
    return (f"trial:\n  data: {data}\n  model: {{name: {model}}}\n  method: {{name: dense}}\n  train: {train}\n"
            f"save: {{weights.form: none}}\naxes:\n  - replicate: {replicates}\n")


def recorded_cases(small):
    """By name: the sweep of a case. The CPU's figures of them are recorded."""
    train = "{{epochs: {epochs}, batch: 64, lr: {lr}, precision: f32}}"
    if small:
        return {"tiny": sweep("lenet300", SYNTHETIC.format(size=8, channels=1, examples=256), train.format(epochs=2, lr="0.02"))}
    return {"lenet5": sweep("lenet5", SYNTHETIC.format(size=28, channels=1, examples=4096), train.format(epochs=3, lr="0.01")),
            "resnet20": sweep("resnet20", SYNTHETIC.format(size=32, channels=3, examples=2048), train.format(epochs=3, lr="0.02"))}


def train(part, name, text, device, *more):
    """The row of a sweep of one configuration, trained in a folder of its own."""
    folder = part.folder / f"{name}-{device}"
    file = part.folder / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    for old in sorted(folder.glob("**/*"), reverse=True):  # of an earlier call
        old.rmdir() if old.is_dir() else old.unlink()
    part.winnow("run", file, "-o", folder, "--device", device, "--strict", "--quiet", *more)
    report = json.loads(part.winnow("report", folder, "--json").stdout)
    row = report["groups"][0]["rows"][0]
    return {"train_loss": row["final.train_loss"], "test_loss": row["final.test_loss"], "test_acc": row["final.test_acc"],
            "seconds": row["seconds.train"]}


def differs(now, reference, limits):
    """What is further from the reference than allowed, in words; empty: nothing."""
    wrong = []
    loss, before = now["train_loss"], reference["train_loss"]
    if not abs(loss - before) <= limits["train_loss"] * abs(before) + 0.01:
        wrong.append(f"training loss {loss:.4f}, on the CPU {before:.4f}")
    if not abs(now["test_acc"] - reference["test_acc"]) <= limits["test_acc"]:
        wrong.append(f"test accuracy {now['test_acc']:.4f}, on the CPU {reference['test_acc']:.4f}")
    return wrong


def against_records(part, wrong):
    references = json.loads(RECORDED.read_text(encoding="utf-8"))["cases"]
    for name, text in recorded_cases(part.options.rehearse).items():
        for precision, limits in LIMITS.items():
            if precision == "bf16" and part.options.rehearse:
                continue
            now = train(part, f"{name}-{precision}", text.replace("precision: f32", f"precision: {precision}"), part.device)
            found = differs(now, references[name], limits)
            part.figure(case=name, data="synthetic", device=part.device, precision=precision, train_loss=now["train_loss"],
                        cpu_train_loss=references[name]["train_loss"], test_acc=now["test_acc"],
                        cpu_test_acc=references[name]["test_acc"], seconds=now["seconds"], verdict="differs" if found else "ok")
            wrong += [f"{name} {precision}: {text}" for text in found]


def beside_the_cpu(part, wrong):
    data = part.winnow("plan", write_probe(part), "--json", check=False)
    missing = data.returncode != 0 or any("would stop on this machine" in note for note in json.loads(data.stdout)["notes"])
    if missing:
        part.note("no files of Fashion-MNIST here ($WINNOW_FASHION_MNIST, or package dataset-fashion-mnist): not compared there")
        return
    for model, lr, epochs in (("lenet5", "0.01", 2), ("resnet20", "0.05", 1)):
        text = sweep(model, fashion(), f"{{epochs: {epochs}, batch: 128, lr: {lr}, precision: f32}}")
        rows = {device: train(part, f"fashion-{model}", text, device) for device in (part.device, "cpu")}
        gap = rows[part.device]["test_acc"] - rows["cpu"]["test_acc"]
        part.figure(case=model, data="fashion-mnist", device=part.device, precision="f32",
                    train_loss=rows[part.device]["train_loss"], cpu_train_loss=rows["cpu"]["train_loss"],
                    test_acc=rows[part.device]["test_acc"], cpu_test_acc=rows["cpu"]["test_acc"],
                    seconds=rows[part.device]["seconds"], verdict="ok" if abs(gap) <= SEED_LIMIT else "differs")
        if abs(gap) > SEED_LIMIT:
            wrong.append(f"{model} on Fashion-MNIST: {100 * gap:+.2f} points of test accuracy")


def fashion():
    root = os.environ.get("WINNOW_FASHION_MNIST")
    return f"{{name: fashion-mnist, root: '{root}'}}" if root else "{name: fashion-mnist}"


def write_probe(part):
    file = part.folder / "probe.yaml"
    file.write_text(sweep("lenet5", fashion(), "{epochs: 1, lr: 0.01}"), encoding="utf-8")
    return file


def accuracy(part):
    """Losses and accuracies of LeNet-5 and ResNet-20 against the CPU's."""
    wrong = []
    against_records(part, wrong)
    if not part.options.rehearse:
        beside_the_cpu(part, wrong)
    if wrong:
        raise Failed("; ".join(wrong))
    return f"{len(part.record['figures'])} trainings as on the CPU"


def record(part):
    """Writes the CPU's figures anew; not on a GPU."""
    cases = {name: train(part, name, text, "cpu") for small in (True, False) for name, text in recorded_cases(small).items()}
    for case in cases.values():
        del case["seconds"]
    version = part.winnow("--version").stdout.splitlines()[0]
    RECORDED.write_text(json.dumps({"recorded_by": version, "cases": cases}, indent=1) + "\n", encoding="utf-8")
    return f"{RECORDED.name}: {', '.join(cases)}"
