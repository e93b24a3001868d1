# The verbs. `make` alone lists them. People and CI use the same ones.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Deploys are those of the command `slipway` (tools/run slipway --help): this repository is a project like any other.
slipway = tools/run slipway

# Only the command line changes these: what a shell exports by the same name means something else, and so does what a
# `make test ARGS=...` around the tests of these verbs was given.
#
# Which environment deploy, rollback and status are about: a folder of ansible/inventories. `local` is the host of `make up`.
ENV := local
# Where `make up` serves, on 127.0.0.1; without it on 8080, or on the next port that is free.
HTTP_PORT :=
# Where `make dev` serves.
DEV_PORT := 8000
# What `make up` keeps its data in: nothing for the embedded database, `postgres` for PostgreSQL and Valkey.
DATA :=
# More arguments for ansible-playbook: make deploy ARGS='-e release_image=...'
ARGS :=
# What `try` and `contract` look at, and how (docs/reference/contract.md).
IMAGE :=
DOCKERFILE :=
VARS :=
READY_PATH :=
PROBE_HOST :=
SETTINGS :=
PATHS :=
PORT :=
# 1: `make github` makes new keys.
ROTATE :=

.PHONY: help
help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: bootstrap ## Make a local host (a systemd container), provision it, deploy the app to it
	@$(slipway) up $(if $(HTTP_PORT),--http $(HTTP_PORT)) $(if $(DATA),--data $(DATA)) -- $(ARGS)

.PHONY: down
down: ## Remove the local host, and that of `make try`; images and downloads stay for the next time
	@$(slipway) down

.PHONY: provision
provision: bootstrap ## Provision the hosts of an environment and deploy to them (ENV=...)
	@$(slipway) provision $(ENV) -- $(ARGS)

.PHONY: deploy
deploy: bootstrap ## Deploy the working tree (ENV=production: to that environment)
	@$(slipway) deploy $(ENV) -- $(ARGS)

.PHONY: rollback
rollback: bootstrap ## Return to the last healthy release (ENV=...)
	@$(slipway) rollback $(ENV) -- $(ARGS)

.PHONY: status
status: bootstrap ## Tell what is live, since when, by whom (ENV=...)
	@$(slipway) status $(ENV) -- $(ARGS)

.PHONY: test
test: bootstrap ## Every check: lint, types, unit tests, the image, the pipeline, Molecule
	@tools/run tools/check all $(ARGS)

.PHONY: test-all
test-all: bootstrap ## Those, and the whole catalogue of failures (hours)
	@tools/run tools/check everything $(ARGS)

.PHONY: test-fast
test-fast: bootstrap ## The inner loop: lint, types and unit tests, under a minute
	@tools/run tools/check fast $(ARGS)

.PHONY: test-pipeline
test-pipeline: bootstrap ## The workflows, run for real: a push, a bad one, a rollback, a run that dies
	@tools/run tools/check pipeline_all $(ARGS)

.PHONY: test-kubernetes
test-kubernetes: bootstrap ## A real one-node cluster: updates, bad releases, rollbacks under load
	@tools/run tools/check kubernetes $(ARGS)

.PHONY: test-swarm
test-swarm: bootstrap ## A real one-node swarm: updates, bad releases, rollbacks under load
	@tools/run tools/check swarm $(ARGS)

.PHONY: lint
lint: bootstrap ## What reads the files: linters and types
	@tools/run tools/check lint $(ARGS)

.PHONY: image
image: bootstrap ## Build the app's image
	@tools/run tools/image build

.PHONY: bench
bench: bootstrap ## Measure requests, latency, memory, deploys; print a table and draw it (ARGS=--smoke: two minutes)
	@tools/run python -m labs.bench $(ARGS)

.PHONY: demo
demo: bootstrap ## A good deploy, a bad one and a rollback under load, drawn as a page
	@tools/run python -m labs.demo --ready || $(MAKE) up ARGS=
	@tools/run python -m labs.demo $(ARGS)

.PHONY: try
try: bootstrap ## Deploy your own image under load, and by docker run, and compare (IMAGE=... or DOCKERFILE=...)
	@test -n "$(IMAGE)$(DOCKERFILE)" || { echo "error: name what to deploy: make try IMAGE=... or make try DOCKERFILE=../my-app" >&2; exit 2; }
	@tools/run python -m labs.trial $(if $(IMAGE),--image '$(IMAGE)') $(if $(DOCKERFILE),--dockerfile '$(DOCKERFILE)') \
		$(if $(VARS),-e @$(VARS)) $(if $(READY_PATH),--ready-path '$(READY_PATH)') $(if $(PROBE_HOST),--probe-host '$(PROBE_HOST)') \
		$(if $(SETTINGS),--settings '$(SETTINGS)') $(if $(PATHS),--paths '$(PATHS)') $(if $(PORT),--port $(PORT)) $(ARGS)

.PHONY: contract
contract: bootstrap ## Check an image against docs/reference/contract.md without a host (IMAGE=...)
	@test -n "$(IMAGE)" || { echo "error: name the image: make contract IMAGE=..." >&2; exit 2; }
	@$(slipway) check $(IMAGE) $(if $(VARS),-e @$(VARS)) $(if $(READY_PATH),-e app_ready_path=$(READY_PATH)) \
		$(if $(PROBE_HOST),-e app_probe_host=$(PROBE_HOST)) $(if $(SETTINGS),--settings $(SETTINGS)) $(ARGS)

.PHONY: github
github: bootstrap ## Give GitHub what its workflows need to deploy (ENV=...; ROTATE=1 makes new keys)
	@$(slipway) github $(ENV) $(if $(filter 1,$(ROTATE)),--rotate)

.PHONY: dev
dev: bootstrap ## The app on this machine, one process, reloading when a file changes
	@STATE_DIRECTORY="$${STATE_DIRECTORY:-$(CURDIR)/.cache/dev}" .venv-app/bin/uvicorn app.main:app --reload --reload-dir app --port $(DEV_PORT)

.PHONY: compose
compose: bootstrap ## The app with Postgres, Valkey, a task queue and nginx in containers, reloading (docs/how-to/use-compose.md)
	@tools/compose $(or $(ARGS),up --build)

.PHONY: bootstrap
bootstrap:
	@tools/bootstrap
