# `make demo` and `make test` do all the set-up on a fresh machine with Python 3.11+ and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# CPU wheels of torch where pip finds none installed; override with TORCH=torch for the build of your platform.
TORCH  ?= torch==2.13.0
CLIPS  ?= heldout
REPORT ?= report
JOBS   ?= 2
WORKERS ?= 2  # processes that test
CODE   := noisebook training experiments examples tests fuzz docs
SECONDS ?= 60  # of each target of fuzz

.PHONY: demo test lint results numbers docs sounds site fuzz release clean

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py demo-out

test: $(VENV)/.dev  # in the order of the folders: files of few and long tests do not come last
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

results: $(VENV)/.dev
	$(BIN)/pip install --quiet -e '.[metrics]'
	$(BIN)/python -m experiments results $(CLIPS) --report $(REPORT) --jobs $(JOBS)

numbers: $(VENV)/.dev  # every measured page, of held-out clips (docs/training.md); goes on where it was stopped
	$(BIN)/pip install --quiet -e '.[metrics]'
	$(BIN)/python -m experiments numbers $(CLIPS) --report $(REPORT) --jobs $(JOBS)

docs: $(VENV)/.dev
	$(BIN)/pip install --quiet -e '.[docs]'
	$(BIN)/python -m noisebook.cli.reference > docs/cli.md
	$(BIN)/python docs/draw_figures.py
	cd docs/notebooks && ../../$(BIN)/jupyter execute --inplace tour.ipynb

sounds: $(VENV)/.dev  # docs/sounds and the table of docs/index.md; needs opusenc
	$(BIN)/python docs/make_sounds.py

site: $(VENV)/.dev  # the documentation as a site, in build/site
	$(BIN)/pip install --quiet -e '.[docs]'
	$(BIN)/python -m mkdocs build

fuzz: $(VENV)/.dev
	$(BIN)/pip install --quiet -e '.[fuzz]'
	for target in container decode codebook image symbols integers; do $(BIN)/python -m fuzz $$target $(SECONDS) || exit 1; done

release: $(VENV)/.dev  # sdist and wheel, tested in an environment of their own
	$(BIN)/python -m pytest tests/release -m 'slow or not slow'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet '$(TORCH)'
	$(BIN)/pip install --quiet -e '.[plot]'
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/pip install --quiet -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo-out report
