# SPDX-License-Identifier: Apache-2.0
"""Local training of a dense network in numpy: what the product's own trainer is measured against.

Reads from standard input a line of JSON, then float32 values: rows of x, y, initial parameters (layer after layer,
weights with a row for each input, then biases). Prints JSON: CPU time of every pass in ms, and the mean squared error
that the last pass ends with.
"""
import json
import os
import sys
import time

# Processor time is compared, and more threads would spend more of it.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def layers_of(parameters, widths):
    """Views of the flat parameters: (weights, biases) of each layer."""
    views, at = [], 0
    for inputs, outputs in zip(widths, widths[1:]):
        weights = parameters[at : at + inputs * outputs].reshape(inputs, outputs)
        at += inputs * outputs
        views.append((weights, parameters[at : at + outputs]))
        at += outputs
    return views


def forward(layers, x):
    activations = [x]
    for number, (weights, biases) in enumerate(layers):
        z = activations[-1] @ weights + biases
        activations.append(z if number == len(layers) - 1 else np.maximum(z, 0, out=z))
    return activations


def train(start, widths, x, y, work, seed):
    """Mean squared error, Adam, rows shuffled each epoch."""
    parameters, gradient = start.copy(), np.empty_like(start)
    first, second = np.zeros_like(start), np.zeros_like(start)
    layers, gradients = layers_of(parameters, widths), layers_of(gradient, widths)
    random, step = np.random.default_rng(seed), 0
    for _ in range(work["epochs"]):
        order = random.permutation(len(x))
        for begin in range(0, len(x), work["batchSize"]):
            rows = order[begin : begin + work["batchSize"]]
            activations = forward(layers, x[rows])
            delta = (2 / len(rows)) * (activations[-1] - y[rows, None])
            for number in reversed(range(len(layers))):
                np.matmul(activations[number].T, delta, out=gradients[number][0])
                np.sum(delta, axis=0, out=gradients[number][1])
                if number > 0:
                    delta = (delta @ layers[number][0].T) * (activations[number] > 0)
            step += 1
            first += (1 - BETA1) * (gradient - first)
            second += (1 - BETA2) * (gradient * gradient - second)
            rate = work["learningRate"] * np.sqrt(1 - BETA2**step) / (1 - BETA1**step)
            parameters -= np.float32(rate) * first / (np.sqrt(second) + np.float32(EPSILON))
    return parameters


def main():
    work = json.loads(sys.stdin.buffer.readline())
    widths, rows = work["layers"], work["rows"]
    values = np.frombuffer(sys.stdin.buffer.read(), dtype="<f4")
    x, y, start = np.split(values, [rows * widths[0], rows * widths[0] + rows])
    x = x.reshape(rows, widths[0])
    passes, parameters = [], start
    for seed in range(work["passes"]):
        before = time.process_time()
        parameters = train(start, widths, x, y, work, seed)
        passes.append((time.process_time() - before) * 1_000)
    error = forward(layers_of(parameters, widths), x)[-1][:, 0] - y
    print(json.dumps({"cpuMs": passes, "meanSquaredError": float(np.mean(error * error))}))


main()
