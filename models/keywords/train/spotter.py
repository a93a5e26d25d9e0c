"""Runs an exported model in TensorFlow Lite's interpreter, as it is used: one window at a time."""

import os
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy as np
import tensorflow as tf

from features import log_mel

# The interpreter of the pinned version announces its move to another package with every start.
warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated.*", category=UserWarning)


class Spotter:
    """An exported `model.tflite`, given as a path or as its bytes.

    Without XNNPACK the plain kernels run, as on 32-bit ARM; of an int8 model they round a little differently.
    """

    def __init__(self, model, xnnpack=True):
        resolvers = tf.lite.experimental.OpResolverType
        self.interpreter = tf.lite.Interpreter(
            model_content=model if isinstance(model, bytes) else model.read_bytes(),
            num_threads=1,
            experimental_op_resolver_type=resolvers.AUTO if xnnpack else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def scores_of(self, samples):
        """Samples [n, 16000] in -1…1 to scores [n, 12]."""
        return self.scores(window for part in np.array_split(samples, 1 + len(samples) // 128) for window in log_mel(part))

    def scores(self, windows):
        """Log-mel windows [n, 98, 40] to scores [n, 12]."""
        return np.stack([self.score(window) for window in windows])

    def score(self, window):
        """Log-mel [98, 40] to the twelve scores."""
        self.interpreter.set_tensor(self.input["index"], window.astype(self.input["dtype"])[None])
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output["index"])[0].copy()

    def milliseconds(self, window, runs=300):
        """Median time of one inference."""
        self.score(window)
        times = []
        for _ in range(runs):
            begun = time.perf_counter()
            self.interpreter.invoke()
            times.append(time.perf_counter() - begun)
        return float(np.median(times) * 1e3)
