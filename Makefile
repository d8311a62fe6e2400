# A short front for CMake. `make help` lists what there is; BUILD=folder and PRESET=name choose another build.
PRESET ?= release
MAKEFLAGS += --no-print-directory
BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)
FILES  ?= $(wildcard tests/golden/s[0-9]_*.json)

.PHONY: all configure demo demo-detect test tsan golden bench install deb format check help clean

all: configure
	@cmake --build $(BUILD) -j $(JOBS)

configure:
	@cmake --preset $(PRESET) -B $(BUILD) > /dev/null

demo:
	@scripts/install-deps build
	@$(MAKE) all
	@scripts/demo.sh $(BUILD)/revbifpn $(BUILD)/demo

demo-detect:
	@scripts/install-deps build
	@$(MAKE) all
	@scripts/demo-detect.sh $(BUILD)/revbifpn $(BUILD)/demo-detect

test:
	@scripts/install-deps build
	@$(MAKE) all
	@scripts/run-tests $(BUILD)

tsan:
	@cmake --preset tsan > /dev/null
	@cmake --build build-tsan -j $(JOBS) --target thread_tests
	@scripts/run-tests build-tsan -L threads

golden: all
	@$(BUILD)/tests/golden $(FILES)

bench: all
	@scripts/bench.sh $(BUILD)/revbifpn

install: all
	@cmake --install $(BUILD) --prefix $(PREFIX)

deb: all
	@cd $(BUILD) && cpack -G DEB

check:
	@scripts/check-layers && scripts/check-style

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	@rm -rf build build-*

help:
	@echo 'make            the library and the command, left at build/revbifpn'
	@echo 'make demo       installs what is missing, draws pictures, trains on them, predicts'
	@echo 'make demo-detect  the same with a detector: boxes and masks'
	@echo 'make test       installs what is missing, then runs all tests'
	@echo 'make tsan       the tests with threads, under the thread sanitizer'
	@echo 'make golden     compares with the figures of the published model (FILES="a.json b.json")'
	@echo 'make bench      pictures a second and memory of the networks on this machine'
	@echo 'make install    to PREFIX (/usr/local)'
	@echo 'make deb        a Debian package, in the build folder'
	@echo 'make check      who includes whom, and the style of the source'
	@echo 'make format     clang-format over all C files'
	@echo 'make clean      removes the build folders'
