# The verbs. `make` alone lists them. People and CI use the same ones.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Which environment deploy, rollback and status are about: a folder of ansible/inventories. `local` is the host of `make up`.
# Only the command line chooses it: a variable ENV that some shell exports means something else.
ifneq ($(origin ENV),command line)
override ENV := local
endif
# Where `make up` serves, on 127.0.0.1.
HTTP_PORT ?= 8080
# Where `make dev` serves.
DEV_PORT ?= 8000
# What `make up` keeps its data in: nothing for the embedded database, `postgres` for PostgreSQL and Valkey.
DATA ?=
comma := ,
# More arguments for ansible-playbook: make deploy ARGS='-e release_image=...'
ARGS ?=

# Says what to type instead of what Ansible cannot parse.
known = test -e ansible/inventories/$(ENV)/hosts.yml || { echo "error: no hosts in ansible/inventories/$(ENV): $(if $(filter local,$(ENV)),make up,see README.md)" >&2; exit 1; }
playbook = cd ansible && ../tools/run ansible-playbook --inventory inventories/$(ENV)

.PHONY: help
help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: override ENV = local
up: bootstrap ## Make a local host (a systemd container), provision it, deploy the app to it
	@case '$(DATA)' in ''|postgres) ;; *) echo "error: DATA=$(DATA): there is DATA=postgres, or none for the embedded database" >&2; exit 2 ;; esac
	@tools/run tools/host up local --http $(HTTP_PORT) $(if $(DATA),--groups app$(comma)data)
	@$(playbook) site.yml $(ARGS)
	@tools/run tools/next-steps http://127.0.0.1:$(HTTP_PORT)

.PHONY: down
down: ## Remove the local host, and that of `make try`; images and downloads stay for the next time
	@tools/run tools/host down local try

.PHONY: provision
provision: bootstrap ## Provision the hosts of an environment and deploy to them (ENV=...)
	@$(known)
	@$(playbook) site.yml $(ARGS)

.PHONY: deploy
deploy: bootstrap ## Deploy the working tree (ENV=production: to that environment)
	@$(known)
	@$(playbook) deploy.yml $(ARGS)

.PHONY: rollback
rollback: bootstrap ## Return to the last healthy release (ENV=...)
	@$(known)
	@$(playbook) rollback.yml $(ARGS)

.PHONY: status
status: bootstrap ## Tell what is live, since when, by whom (ENV=...)
	@$(known)
	@$(playbook) status.yml $(ARGS)

.PHONY: test
test: bootstrap ## Every check: lint, types, unit tests, the image, the pipeline, Molecule
	@tools/run tools/check all

.PHONY: test-all
test-all: bootstrap ## Those, and the whole catalogue of failures (about two hours)
	@tools/run tools/check everything

.PHONY: test-fast
test-fast: bootstrap ## The inner loop: lint, types and unit tests, under a minute
	@tools/run tools/check fast

.PHONY: test-pipeline
test-pipeline: bootstrap ## The workflows, run for real: a push, a bad one, a rollback, a run that dies
	@tools/run tools/check pipeline_all

.PHONY: lint
lint: bootstrap ## What reads the files: linters and types
	@tools/run tools/check lint

.PHONY: image
image: bootstrap ## Build the app's image
	@tools/run tools/image build

.PHONY: bench
bench: bootstrap ## Measure: requests, latency, memory, deploys; print a table and save a chart
	@tools/run python -m bench $(ARGS)

.PHONY: demo
demo: bootstrap ## A good deploy, a bad one and a rollback under load, drawn as a page
	@tools/run python -m demo --ready || $(MAKE) up
	@tools/run python -m demo $(ARGS)

.PHONY: try
try: bootstrap ## Deploy your own image under load, and by docker run, and compare (IMAGE=... or DOCKERFILE=...)
	@test -n "$(IMAGE)$(DOCKERFILE)" || { echo "error: name what to deploy: make try IMAGE=... or make try DOCKERFILE=../my-app" >&2; exit 2; }
	@tools/run python -m demo.trial $(if $(IMAGE),--image '$(IMAGE)') $(if $(DOCKERFILE),--dockerfile '$(DOCKERFILE)') \
		$(if $(VARS),-e @$(VARS)) $(if $(READY_PATH),--ready-path '$(READY_PATH)') $(if $(PROBE_HOST),--probe-host '$(PROBE_HOST)') \
		$(if $(SETTINGS),--settings '$(SETTINGS)') $(if $(PATHS),--paths '$(PATHS)') $(if $(PORT),--port $(PORT)) $(ARGS)

.PHONY: contract
contract: bootstrap ## Check an image against docs/contract.md without a host (IMAGE=...)
	@test -n "$(IMAGE)" || { echo "error: name the image: make contract IMAGE=..." >&2; exit 2; }
	@tools/run tools/contract $(IMAGE) $(if $(VARS),-e @$(VARS)) $(if $(READY_PATH),-e app_ready_path=$(READY_PATH)) \
		$(if $(PROBE_HOST),-e app_probe_host=$(PROBE_HOST)) $(if $(SETTINGS),--settings $(SETTINGS)) $(ARGS)

.PHONY: github
github: bootstrap ## Give GitHub what its workflows need to deploy (ENV=...; ROTATE=1 makes the keys anew)
	@$(known)
	@ROTATE=$(ROTATE) tools/run tools/github $(ENV)

.PHONY: dev
dev: bootstrap ## The app on this machine, one process, reloading when a file changes
	@STATE_DIRECTORY="$${STATE_DIRECTORY:-$(CURDIR)/.cache/dev}" .venv/bin/uvicorn app.main:app --reload --reload-dir app --port $(DEV_PORT)

.PHONY: compose
compose: bootstrap ## The app with Postgres, Valkey, a task queue and nginx in containers, reloading (docs/compose.md)
	@tools/compose $(or $(ARGS),up --build)

.PHONY: bootstrap
bootstrap:
	@tools/bootstrap
