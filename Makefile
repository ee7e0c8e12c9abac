# Firn: HTTP in, Iceberg tables out. `make help` lists what can be asked for.
#
# Targets that build or test install what they lack first (scripts/setup): a second call only looks.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := build

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
PY      := $(CURDIR)/.venv/bin/python
# What the shell's globbing can't say: every package of the module, the nested modules excluded.
ALL     := ./...

# RUN=pattern narrows any of the test targets to the tests that match; FUZZTIME is how long each fuzzer gets.
RUN      ?=
FUZZTIME ?= 60s
GOTEST   := $(GO) test $(if $(RUN),-run '$(RUN)')

export FIRN_PYTHON ?= $(PY)

# The servers that tests run against (perf/peer). Each is built from its own go.mod, as its authors test it; Go's checksum
# database vouches for the versions named here.
PEERS     := $(CURDIR)/.peers
VERSITYGW := v1.8.0
MINIO     := v0.0.0-20260212201848-7aac2a2c5b7c
export FIRN_PEERS ?= $(PEERS)

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {print "\n" substr($$0, 5)} /^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build and run

.PHONY: setup
setup: ## install the missing build dependencies (Debian: apt, sudo only where needed; elsewhere: say what to install)
	@scripts/setup

.PHONY: build
build: setup ## build bin/ingestd, bin/flushlambda and bin/compactor
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/ingestd ./ingestd
	CGO_ENABLED=0 $(GO) build -tags lambda.norpc,nethttpomithttp2 -ldflags '$(LDFLAGS)' -o bin/flushlambda ./flushlambda
	CGO_ENABLED=0 $(GO) build -tags lambda.norpc,nethttpomithttp2 -ldflags '$(LDFLAGS)' -o bin/compactor ./flushlambda/compactor

.PHONY: run
run: setup ## build and start ingestd on 127.0.0.1:8080 with ./firn-data (ARGS='-cut-interval 2s' adds flags)
	@mkdir -p bin
	echo 'building bin/ingestd (about a minute the first time) …' >&2
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/ingestd ./ingestd
	exec bin/ingestd $(ARGS)

.PHONY: dist
dist: setup ## build dist/: ingestd with RocksDB linked in, and the Lambdas' bootstraps
	@scripts/dist '$(VERSION)'

.PHONY: clean
clean: ## remove what was built (not .venv, .peers, firn-data)
	@rm -rf bin dist
	$(GO) clean -testcache

##@ Test

.PHONY: venv
venv: .venv/stamp ## make .venv with the Iceberg readers that the tests read with

.venv/stamp: perf/readers/requirements.txt perf/readers/constraints.txt
	@scripts/setup python
	test -x $(PY) || python3 -m venv .venv
	$(PY) -m pip install -q --disable-pip-version-check -r perf/readers/requirements.txt
	touch $@

.PHONY: venv-query
venv-query: .venv/stamp-query ## make .venv with DuckDB alone, for scripts/duckdb

.venv/stamp-query: perf/readers/requirements-query.txt perf/readers/constraints.txt
	@scripts/setup python
	test -x $(PY) || python3 -m venv .venv
	$(PY) -m pip install -q --disable-pip-version-check -r perf/readers/requirements-query.txt
	touch $@

.PHONY: peers
peers: venv $(PEERS)/stamp-versitygw-$(VERSITYGW) $(PEERS)/stamp-restcatalog ## put an S3 server and an Iceberg REST catalog into .peers (some minutes the first time)

$(PEERS)/stamp-versitygw-$(VERSITYGW):
	@mkdir -p $(PEERS)
	echo 'building versitygw $(VERSITYGW) (some minutes) …' >&2
	GOBIN=$(PEERS) GOFLAGS= $(GO) install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW)
	touch $@

$(PEERS)/stamp-restcatalog: perf/peer/restcatalog/pom.xml
	@scripts/setup java
	rm -rf $(PEERS)/restcatalog
	mvn -q -f perf/peer/restcatalog/pom.xml dependency:copy-dependencies -DoutputDirectory=$(PEERS)/restcatalog
	touch $@

.PHONY: slow-peers
slow-peers: peers $(PEERS)/stamp-minio-$(MINIO) $(PEERS)/stamp-nessie ## add MinIO and Nessie to .peers

$(PEERS)/stamp-nessie: perf/peer/nessie/pom.xml
	@scripts/setup java
	rm -rf $(PEERS)/nessie
	mvn -q -f perf/peer/nessie/pom.xml dependency:copy-dependencies -DoutputDirectory=$(PEERS)/nessie
	touch $@

$(PEERS)/stamp-minio-$(MINIO):
	@echo 'building minio $(MINIO) (some minutes) …' >&2
	GOBIN=$(PEERS) GOFLAGS= $(GO) install github.com/minio/minio@$(MINIO)
	touch $@

.PHONY: test
test: setup venv ## the quick tier, with the race detector (10 minutes at most)
	@export FIRN_TIER=test
	$(GOTEST) -race -timeout 25m $(ALL)
	$(if $(RUN),,$(GO) test -run '^TestSeeds$$' ./ingestd/sim) # all seeds: under the race detector they are few
	scripts/simulate $(RUN)

.PHONY: ci
ci: ## what .ci/run does: check, test, and the middle tier (40 minutes at most)
	@.ci/run </dev/null

.PHONY: slow-readers
slow-readers: venv .venv/stamp-slow ## add ClickHouse and Spark to .venv (1 GB)

.venv/stamp-slow: .venv/stamp perf/readers/requirements-slow.txt
	@scripts/setup java
	$(PY) -m pip install -q --disable-pip-version-check -r perf/readers/requirements.txt -r perf/readers/requirements-slow.txt
	mvn -q dependency:get -Dtransitive=false -Dartifact=org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.11.0
	touch $@

.PHONY: slow
slow: setup slow-readers slow-peers ## the slow tier: more kills, seeds and readers, and a minute for each fuzzer (180 minutes at most)
	@export FIRN_TIER=slow
	$(GOTEST) -timeout 170m $(ALL)
	scripts/simulate $(RUN)
	$(MAKE) fuzz

.PHONY: soak
soak: setup venv ## the soak tier: hours of load on the real daemon (FIRN_SOAK=2h)
	@FIRN_TIER=soak $(GOTEST) -count=1 -timeout 0 ./perf/...

.PHONY: fuzz
fuzz: setup ## each fuzzer for FUZZTIME (60s)
	@scripts/fuzz '$(FUZZTIME)'

.PHONY: bench
bench: setup ## the benchmarks of all packages
	@$(GO) test -run '^$$' -bench '$(if $(RUN),$(RUN),.)' -benchmem -timeout 60m $(ALL)

##@ Measure

# ARGS adds flags: ARGS='-runs 5' for medians, ARGS='-- -cut-interval 2s' for ingestd's. Nothing else should run meanwhile.
PERF := perf-results

.PHONY: perf
perf: build ## print each goal of speed beside what this machine measures (6 minutes), with a report in perf-results
	@$(GO) run ./perf goals -ingestd bin/ingestd -o $(PERF) $(ARGS)

.PHONY: profile
profile: build ## CPU, allocation, lock and wait profiles under load, as flame graphs in perf-results/profiles
	@$(GO) run ./perf profile -ingestd bin/ingestd -o $(PERF)/profiles $(ARGS)

##@ Check

.PHONY: check
check: setup ## formatting, vet, staticcheck, module files, shell scripts and the glossary
	@scripts/check
