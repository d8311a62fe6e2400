"""On what and how detectors are trained when both sides are compared: the same words for `revbifpn train` and for
peers/train_detector.py."""
SETS = {"bccd": "detect", "microcontrollers": "detect", "facades": "segment", "nuclei": "segment"}
FPN, FC, SIDE, BATCH, RATE, WARMUP = 64, 256, 320, 4, 0.01, 100


def words(name, epochs, of=None):
    """Settings of `epochs` epochs on a set, of a schedule that is `of` epochs long."""
    whole = of or epochs
    said = ["--task", SETS[name], "--model", "s0", "--fpn", FPN, "--fc", FC, "--imgsz", SIDE, "--epochs", epochs, "--batch", BATCH,
            "--lr", RATE, "--milestones", f"{whole * 2 // 3},{whole * 11 // 12}", "--warmup-steps", WARMUP]
    return [str(w) for w in said]
