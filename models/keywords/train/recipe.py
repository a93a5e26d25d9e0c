"""The whole recipe: recordings in, bundle out. Every step is skipped or resumed where it was done before."""

import argparse
import pathlib

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, nargs="+", required=True, help="Speech Commands: folders of words, or tars of them")
    parser.add_argument("--own", type=pathlib.Path, nargs="+", default=[], help="recordings of one's own, as record-word makes them")
    parser.add_argument("--sounds", type=pathlib.Path, nargs="*", default=[], help="sounds without commands, to choose thresholds (sounds.py)")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="decoded clips and streams, about 4 GB")
    parser.add_argument("--run", type=pathlib.Path, required=True, help="checkpoints, curves, exports, report.md")
    parser.add_argument("--epochs", type=int, default=196)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", type=pathlib.Path, default=HERE.parent, help="the bundle's folder")
    arguments = parser.parse_args()

    # TensorFlow takes seconds to load: not before the arguments are known to be right.
    import bundle
    import export
    import make_streams
    import parity
    import prepare
    import synthesise
    import teacher
    import train

    prepare.prepare(arguments.data, arguments.own, arguments.cache)
    synthesise.synthesise(arguments.cache)
    synthesise.sentences(arguments.cache)
    teacher.teach(arguments.cache)
    train.train(arguments.cache, arguments.run, arguments.epochs, arguments.seed)
    export.export(arguments.cache, arguments.run)
    streams = arguments.cache / "streams"
    make_streams.make_streams(arguments.cache, arguments.sounds, streams)
    bundle.bundle(arguments.cache, streams, arguments.run, arguments.into)
    # The program's tests know the bundle that it ships, and no other.
    if arguments.into == HERE.parent:
        parity.parity(arguments.into, HERE.parents[2] / "tests" / "data" / "keywords")


if __name__ == "__main__":
    main()
