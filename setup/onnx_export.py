"""Turns the MiniLM safetensors into ONNX (fp32 and int8) and checks both against known values.

Run by setup.py in a process of its own; `TOOLS` is the folder the pinned wheels were unpacked into:

    python3 -I onnx_export.py make  TOOLS WEIGHTS_DIR OUT_DIR    writes model.onnx and model_int8.onnx
    python3 -I onnx_export.py check TOOLS OUT_DIR LIB_DIR        exit 1 and the reason if anything is off

The fp32 file depends on the weights alone: node names, order and serialisation are fixed, so every machine
gets the same bytes. Versions of everything else are pinned in requirements.txt.
"""
import ctypes
import json
import logging
import os
import struct
import sys

if len(sys.argv) > 2:
    sys.path.insert(0, sys.argv[2])

import numpy as np  # noqa: E402 - importable only after the line above

# "[CLS] … [SEP]" of three sentences, as the model's tokenizer writes them.
EATING_FOOD = [101, 1037, 2158, 2003, 5983, 2833, 1012, 102]  # "A man is eating food."
EATING_PASTA = [101, 1037, 2158, 2003, 5983, 24857, 1012, 102]  # "A man is eating pasta."
BLUE_SKY = [101, 1996, 3712, 2003, 2630, 2651, 1012, 102]  # "The sky is blue today."
# Cosines of the first with the other two, from the model's authors' own library.
REFERENCE = (0.7035, -0.0186)

# Layer → channels of the feed-forward's inner activations that are several times larger than all others (24 beside
# 6, on scientific abstracts). int8 gives all channels of one product the same step, so these few cost the rest
# their precision: the int8 model multiplies them apart, in fp32. Halves the error (cosine to fp32 .9950 → .9974,
# top-10 overlap .919 → .940) for 3 % of the speed and 0.1 MB; leaving whole products in fp32 gains no more.
OUTLIERS = {0: [856], 1: [607], 2: [218, 1004], 3: [358]}


def read_safetensors(path):
    """Name → float32 array. The format: u64 header length, JSON header, one raw little-endian buffer."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    raw = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + length)
    weights = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            weights[name] = np.frombuffer(raw[start:end].tobytes(), dtype="<f4").reshape(entry["shape"])
    return weights


def build(weights, config, apart=None):
    """A BERT encoder as an ONNX model: int64 input_ids, attention_mask, token_type_ids [batch, sequence] in,
    float last_hidden_state [batch, sequence, hidden] out. The patterns are those ONNX Runtime fuses.
    `apart`, as OUTLIERS: the same function, with these channels of each `down` product in `…/exact` nodes."""
    from onnx import TensorProto, helper, numpy_helper

    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    layers, epsilon = config["num_hidden_layers"], config["layer_norm_eps"]
    if config["hidden_act"] != "gelu" or config["position_embedding_type"] != "absolute":
        raise SystemExit("config.json is not the encoder this export knows (gelu, absolute positions)")
    nodes, constants = [], []

    def const(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def linear(x, prefix, name):
        weight = const(prefix + ".weight_t", weights[prefix + ".weight"].T)
        product = op("MatMul", [x, weight], name + "/matmul")
        return op("Add", [const(prefix + ".bias", weights[prefix + ".bias"]), product], name)

    def norm(x, prefix, name):
        parts = [const(f"{prefix}.{end}", weights[f"{prefix}.{end}"]) for end in ("weight", "bias")]
        return op("LayerNormalization", [x, *parts], name, axis=-1, epsilon=epsilon)

    one = const("one", np.float32(1))
    half, root = const("half", np.float32(0.5)), const("sqrt_two", np.float32(np.sqrt(2)))
    scale = const("sqrt_head", np.float32(np.sqrt(hidden // heads)))
    lowest = const("float_min", np.finfo(np.float32).min)
    first, second, third = (const(f"axis{n}", np.array([n], np.int64)) for n in (0, 1, 2))
    split = const("split_heads", np.array([0, 0, heads, hidden // heads], np.int64))
    join = const("join_heads", np.array([0, 0, hidden], np.int64))

    words = op("Gather", [const("word", weights["embeddings.word_embeddings.weight"]), "input_ids"], "words")
    kinds = op("Gather", [const("kind", weights["embeddings.token_type_embeddings.weight"]), "token_type_ids"], "kinds")
    # A slice of the table, not Range + Gather: the runtime's embedding fusion makes a broken graph of the latter.
    table = const("position", weights["embeddings.position_embeddings.weight"][np.newaxis])
    length = op("Slice", [op("Shape", ["input_ids"], "shape"), second, third], "length")
    positions = op("Slice", [table, first, length, second], "positions")
    summed = op("Add", [op("Add", [words, kinds], "words+kinds"), positions], "embedded")
    x = norm(summed, "embeddings.LayerNorm", "embedded/norm")

    mask = op("Unsqueeze", ["attention_mask", const("axes12", np.array([1, 2], np.int64))], "mask/4d")
    mask = op("Sub", [one, op("Cast", [mask], "mask/float", to=TensorProto.FLOAT)], "mask/inverse")
    mask = op("Mul", [mask, lowest], "mask/bias")

    for i in range(layers):
        layer, out = f"encoder.layer.{i}", f"layer{i}/"
        q, k, v = (
            op("Transpose", [op("Reshape", [linear(x, f"{layer}.attention.self.{name}", out + name), split],
                                out + name + "/split")], out + name + "/heads", perm=perm)
            for name, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
        )
        scores = op("Div", [op("MatMul", [q, k], out + "scores"), scale], out + "scaled")
        probs = op("Softmax", [op("Add", [scores, mask], out + "masked")], out + "probs", axis=-1)
        context = op("Transpose", [op("MatMul", [probs, v], out + "context")], out + "context/t", perm=[0, 2, 1, 3])
        context = op("Reshape", [context, join], out + "context/join")
        attended = linear(context, layer + ".attention.output.dense", out + "attention")
        x = norm(op("Add", [attended, x], out + "attention/residual"),
                 layer + ".attention.output.LayerNorm", out + "attention/norm")
        up = linear(x, layer + ".intermediate.dense", out + "up")
        erf = op("Erf", [op("Div", [up, root], out + "gelu/div")], out + "gelu/erf")
        gelu = op("Mul", [up, op("Add", [erf, one], out + "gelu/add")], out + "gelu/mul")
        gelu = op("Mul", [gelu, half], out + "gelu")
        few = (apart or {}).get(i)
        if few is None:
            down = linear(gelu, layer + ".output.dense", out + "down")
        else:
            weight, bias = (weights[f"{layer}.output.dense.{end}"] for end in ("weight", "bias"))
            keep = np.ones(weight.shape[1], np.float32)
            keep[few] = 0
            kept = op("Mul", [gelu, const(out + "keep", keep)], out + "kept")
            most = op("MatMul", [kept, const(out + "down/most_t", (weight * keep).T)], out + "down/most")
            large = op("Gather", [gelu, const(out + "few", np.array(few, np.int64))], out + "large", axis=2)
            exact = op("MatMul", [large, const(out + "down/few_t", weight[:, few].T)], out + "down/exact")
            down = op("Add", [const(out + "down/bias", bias), most], out + "down/biased")
            down = op("Add", [down, exact], out + "down")
        x = norm(op("Add", [down, x], out + "residual"), layer + ".output.LayerNorm",
                 "last_hidden_state" if i == layers - 1 else out + "norm")

    shape = ["batch", "sequence"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape)
              for name in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [helper.make_tensor_value_info(x, TensorProto.FLOAT, [*shape, hidden])]
    graph = helper.make_graph(nodes, "all-MiniLM-L6-v2", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                             producer_name="wellspring")


def make(weights_dir, out_dir):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def save(model, path):
        with open(path, "wb") as file:
            file.write(model.SerializeToString(deterministic=True))

    logging.disable(logging.WARNING)  # advice on pre-processing, which this graph does not need
    with open(os.path.join(weights_dir, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    weights = read_safetensors(os.path.join(weights_dir, "model.safetensors"))
    full, small = os.path.join(out_dir, "model.onnx"), os.path.join(out_dir, "model_int8.onnx")
    model = build(weights, config)
    onnx.checker.check_model(model)
    save(model, full)
    before = os.path.join(out_dir, "before_int8.onnx")
    save(build(weights, config, OUTLIERS), before)
    quantize_dynamic(before, small, per_channel=True, weight_type=QuantType.QInt8,
                     nodes_to_exclude=[f"layer{i}/down/exact" for i in OUTLIERS])
    os.remove(before)
    save(onnx.load(small), small)


def embed(session, ids):
    """One text → unit vector: mean of the token vectors, L2-normalised."""
    ids = np.array([ids], np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    mean = session.run(None, inputs)[0][0].mean(axis=0)
    return mean / np.linalg.norm(mean)


def check(model_dir, lib_dir):
    import onnxruntime

    def session(name, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        return onnxruntime.InferenceSession(os.path.join(model_dir, name), options,
                                            providers=["CPUExecutionProvider"])

    def refuse(reason):
        raise SystemExit("self-check failed: " + reason)

    full, small = session("model.onnx", 1), session("model_int8.onnx", 1)
    texts = (EATING_FOOD, EATING_PASTA, BLUE_SKY)
    exact = [embed(full, text) for text in texts]
    found = (float(exact[0] @ exact[1]), float(exact[0] @ exact[2]))
    if max(abs(a - b) for a, b in zip(found, REFERENCE)) > 2e-4:
        refuse("fp32 cosines are %.4f and %.4f, should be %.4f and %.4f" % (*found, *REFERENCE))
    rounded = [embed(small, text) for text in texts]
    worst = min(float(a @ b) for a, b in zip(exact, rounded))
    if worst < 0.99:
        refuse(f"int8 is only {worst:.4f} (cosine) from fp32, should be about 0.997")
    # Same text, same vector: whatever was run before, with one thread or two.
    long_text = (EATING_FOOD[1:-1] * 50)[:254]
    long_text = [101, *long_text, 102]
    again = session("model_int8.onnx", 2)
    for text in (*texts, long_text):
        if len({embed(s, text).tobytes() for s in (small, again, small, again)}) != 1:
            refuse("int8 gives different vectors for one text over repeated runs or thread counts")
    # The libraries the service will load are other files than the ones Python just used.
    class ApiBase(ctypes.Structure):
        _fields_ = [("get_api", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)),
                    ("version", ctypes.CFUNCTYPE(ctypes.c_char_p))]
    base = ctypes.CDLL(os.path.join(lib_dir, "libonnxruntime.so")).OrtGetApiBase
    base.restype = ctypes.POINTER(ApiBase)
    version = base().contents.version().decode()
    if version != onnxruntime.__version__:
        refuse(f"libonnxruntime.so is {version}, should be {onnxruntime.__version__}")
    print(f"cosines {found[0]:.4f} and {found[1]:.4f} (reference {REFERENCE[0]:.4f} and {REFERENCE[1]:.4f}), "
          f"int8 to fp32 {worst:.4f}, ONNX Runtime {version}")


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[1] not in ("make", "check"):
        raise SystemExit(__doc__)
    (make if sys.argv[1] == "make" else check)(sys.argv[3], sys.argv[4])
