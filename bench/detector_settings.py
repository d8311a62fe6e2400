"""On what and how detectors are trained when both sides are compared: the same words for `revbifpn train` and for
peers/train_detector.py, and the options that say where both are found."""
import os, sys

SETS = {"bccd": "detect", "microcontrollers": "detect", "facades": "segment", "nuclei": "segment"}
FPN, FC, SIDE, BATCH, RATE, WARMUP = 64, 256, 320, 4, 0.01, 100


def words(name, epochs, of=None):
    """Settings of `epochs` epochs on a set, of a schedule that is `of` epochs long."""
    whole = of or epochs
    said = ["--task", SETS[name], "--model", "s0", "--fpn", FPN, "--fc", FC, "--imgsz", SIDE, "--epochs", epochs, "--batch", BATCH,
            "--lr", RATE, "--milestones", f"{whole * 2 // 3},{whole * 11 // 12}", "--warmup-steps", WARMUP]
    return [str(w) for w in said]


def add_options(parser, runs, out):
    parser.add_argument("--data")
    parser.add_argument("--command", default="build/revbifpn")
    parser.add_argument("--runs", default=runs)
    parser.add_argument("--official")
    parser.add_argument("--peer")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--budget", type=float, default=float("inf"))
    parser.add_argument("--out", default=out)
    parser.add_argument("--docs", default="docs")
    parser.add_argument("--draw", action="store_true")


def peer_command(a):
    """How PyTorch's side is called, without its settings."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers", "train_detector.py")
    return [a.python, script, "--official", a.official, "--peer", a.peer, "--threads", str(a.threads)]
