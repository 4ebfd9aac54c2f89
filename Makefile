# make demo: train on real digits and write a report.   make test: run the tests.   make help: everything else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test check sanitize fuzz stress bench oracles recipes docs pictures format clean
help:
	@echo "make demo      set up .venv, train a spiking network on real digits, write runs/<name>/report.html"
	@echo "make test      run the tests"
	@echo "make check     formatting, lint, types, import layers, sizes"
	@echo "make sanitize  run the kernels' tests under AddressSanitizer and UBSan"
	@echo "make fuzz      feed hostile files to every reader for FUZZ=600 seconds"
	@echo "make stress    kill recorders at KILLS=200 random moments, and look what is left, into benchmarks/RESULTS.md"
	@echo "make bench     side by side with the peers, into benchmarks/RESULTS.md (installs them into .bench/)"
	@echo "make oracles   compare event files with other decoders, measures with Elephant (installs them into .bench/)"
	@echo "make recipes   what papers claim, measured; also on MNIST=FOLDER (idx files), FSDD=FOLDER (spoken digits), TEXT=FILE"
	@echo "make docs      build the documentation into build/docs/ (make pictures draws its pictures again)"
	@echo "make format    format the code"
	@echo "make clean     remove .venv, .bench and caches"

$(VENV)/ready: pyproject.toml constraints.txt hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 $(or $(MAKECMDGOALS),demo)")'
	@echo "Installing into $(VENV), which takes about 1.4 GB and some minutes; g++ compiles the kernels."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt $(shell grep '^torch==' constraints.txt)
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(VENV)/ready
	$(BIN)/spikeloom train

test: $(VENV)/ready
	@$(BIN)/python tools/build_kernels.py
	$(BIN)/python -m pytest -n 2

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_code.py src/spikeloom

KERNEL_TESTS = $(filter-out %/test_build.py %/test_compiler.py,\
	$(wildcard tests/native/test_*.py tests/kernels/test_*.py tests/backends/test_kernel*.py)) \
	tests/backends/test_event_path.py tests/backends/test_event_delays.py tests/backends/test_plastic_run.py tests/backends/test_plastic_rules.py tests/backends/test_plastic_path.py $(patsubst %,tests/events/test_%.py,codec_csv codec_hdf5 codec_references codec_vectors filters large_streams lying_streams packed representations transforms transforms_random) tests/datasets/audio/test_hair_cells.py \
	tests/analysis/test_correlations.py tests/analysis/test_distances.py tests/analysis/test_synchrony.py
sanitize: $(VENV)/ready
	CXX="env -u LD_PRELOAD g++" SPIKELOOM_CACHE=$(CURDIR)/.sanitize \
	SPIKELOOM_CXXFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" \
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	$(BIN)/python -m pytest --capture=sys -p no:cacheprovider $(KERNEL_TESTS)

FUZZ ?= 600
fuzz: $(VENV)/ready
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check atheris==3.0.0
	$(BIN)/python tools/fuzz.py --seconds $(FUZZ)

KILLS ?= 200
stress: $(VENV)/ready
	$(BIN)/python tools/stress.py --kills $(KILLS) --processes 1 --results benchmarks/RESULTS.md
	$(BIN)/python tools/stress.py --kills $(KILLS) --processes 3 --results benchmarks/RESULTS.md

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

TORCH := $(shell grep '^torch==' constraints.txt)
PEER_spaic := $(TORCH) spaic==0.6.3.0.0 scipy matplotlib pyyaml tqdm h5py networkx
PEER_snntorch := $(TORCH) snntorch==1.0.0 numpy==2.4.6
PEER_spikingjelly := $(TORCH) spikingjelly==2.0.0
PEER_norse := $(TORCH) norse==1.1.0
PEER_spyx := jax==0.10.2 jaxlib==0.10.2 spyx==1.0.0
PEER_events := tonic==1.7.0 eventcv==1.0.8 evt3==0.4.1 faery==0.7.1 event-stream==1.6.3 expelliarmus==1.1.12 \
	evlib==0.13.2 aedat==2.3.0
PEER_analysis := elephant==1.2.1 neo==0.14.6 quantities==0.16.4 pynwb==4.2.0 nwbinspector==0.7.2 pyspike==0.9.0 \
	libsonata==0.2.2
PEERS := spaic snntorch spikingjelly norse spyx events analysis

$(PEERS:%=.bench/%/ready): .bench/%/ready:
	$(PYTHON) -m venv .bench/$*
	.bench/$*/bin/pip install --quiet --disable-pip-version-check $(PEER_$*)
	touch $@

bench: $(VENV)/ready $(PEERS:%=.bench/%/ready)
	$(BIN)/python benchmarks/peers.py --records .bench/peers.jsonl
	$(BIN)/python benchmarks/peers.py --growth --records .bench/growth.jsonl
	$(BIN)/python benchmarks/peers.py --sweep --records .bench/sweep.jsonl
	$(BIN)/python benchmarks/normalised.py
	$(BIN)/python benchmarks/testnet.py $(BENCH)
	$(BIN)/python benchmarks/plastic.py
	$(BIN)/python benchmarks/digits.py
	$(BIN)/python benchmarks/shd.py
	$(BIN)/python benchmarks/events.py --records .bench/events.jsonl
	$(BIN)/python benchmarks/event_codecs.py
	$(BIN)/python benchmarks/layer_measures.py
	$(BIN)/python benchmarks/pair_measures.py
	$(BIN)/python benchmarks/analysis.py
	$(BIN)/python benchmarks/data_cache.py
	$(BIN)/python benchmarks/recording.py --results benchmarks/RESULTS.md
	rm -f .bench/*.jsonl  # kept so far for one that is interrupted and goes on

oracles: $(VENV)/ready .bench/events/ready .bench/analysis/ready
	$(BIN)/python benchmarks/event_oracles.py
	$(BIN)/python benchmarks/analysis_oracles.py
	$(BIN)/python benchmarks/exchange_oracles.py

recipes: $(VENV)/ready
	$(BIN)/python recipes/all.py $(if $(MNIST),--mnist "$(MNIST)") $(if $(FSDD),--fsdd "$(FSDD)") $(if $(TEXT),--text "$(TEXT)")
	rm -f .bench/recipes.jsonl  # kept so far for one that is interrupted and goes on
	$(if $(MNIST),$(BIN)/python benchmarks/mnist.py "$(MNIST)",@echo "MNIST is skipped: MNIST=FOLDER names its idx files")

$(VENV)/docs: $(VENV)/ready
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "documentation: build/docs/index.html"

pictures: $(VENV)/ready
	$(BIN)/python tools/draw_docs.py

clean:
	rm -rf $(VENV) build/docs .bench .sanitize .fuzz src/spikeloom/native/built .mypy_cache .ruff_cache .pytest_cache .hypothesis
