# SPDX-License-Identifier: Apache-2.0
# Every target is a thin call; `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

NETWORK  ?= auto
TASK     ?= price
VEHICLES ?=
ROUNDS   ?= 10
SPLIT    ?= iid
DATA     ?=
FORM     ?= plug-in
SCHEMA   ?=
PRIVACY  ?= secure
ATTACK   ?=
HOSTILE  ?=
ATTACK_FROM ?=
UNTIL    ?=
BASELINES ?=
NODES    ?= 22.23.3 24.21.0
export NETWORK

SEV := node application/bin/sev.js
RUN := $(SEV) round run --task $(TASK) --form $(FORM) $(if $(VEHICLES),--vehicles $(VEHICLES)) --rounds $(ROUNDS) --split $(SPLIT) --privacy $(PRIVACY) $(if $(ATTACK),--attack $(ATTACK)) $(if $(HOSTILE),--hostile $(HOSTILE)) $(if $(ATTACK_FROM),--attack-from $(ATTACK_FROM)) $(if $(UNTIL),--until $(UNTIL)) $(if $(filter no,$(BASELINES)),--no-baselines)

.PHONY: help install build demo rounds network-up network-down network-status network-clean network-doctor \
        test test-full test-fabric test-nodes lint format bench experiments-learning experiments-privacy attacks sybil audit tfjs-node clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  rounds takes TASK=price|demand|table DATA=<csv, default generated> SCHEMA=<json, of table> FORM=<of demand>'
	@echo '         VEHICLES=<20, or as many as a natural split has> ROUNDS=$(ROUNDS) SPLIT=$(SPLIT)'
	@echo '         and PRIVACY=secure|dp|plain, who may see an update; both demo and rounds take it (now $(PRIVACY)),'
	@echo '         as well as ATTACK=label-flip HOSTILE=0.2, an exercise: see node application/bin/sev.js attack list;'
	@echo '         UNTIL=<round> ends before the last round that is planned, round run --resume goes on;'
	@echo '         BASELINES=no leaves out training in one place and alone, which is long with an LSTM'
	@echo '  network-up takes NETWORK=auto|fabric|embedded'

# The lock file npm leaves in node_modules is newer than ours once the install is done.
node_modules/.package-lock.json: package-lock.json package.json $(wildcard */package.json)
	npm ci --no-fund --no-audit
	@touch $@

install: node_modules/.package-lock.json ## install the dependencies (npm ci)

build: install ## compile everything
	@test -e application/dist/.tsbuildinfo || echo 'compiling, about half a minute the first time'
	@npx tsc -b

demo: network-up ## the main job: 20 vehicles, 10 rounds of task price, audit, table and plot
	@$(RUN)

rounds: build ## rounds on your data: TASK= DATA= VEHICLES= ROUNDS= SPLIT= PRIVACY=
	@$(RUN) $(if $(DATA),--data "$(DATA)") $(if $(SCHEMA),--schema "$(SCHEMA)")

network-up: build ## start the network and the consortium on it
	@$(SEV) network up

network-down: build ## stop the network; its ledger stays
	@$(SEV) network down

network-status: build ## say what runs
	@$(SEV) network status

network-doctor: build ## look for the usual causes of trouble
	@$(SEV) network doctor

network-clean: build ## stop the network and remove its ledger and crypto material together
	@$(SEV) network clean

audit: build ## re-check everything from the blocks and the store
	@$(SEV) audit verify

test: build ## the default test suite
	@npm test --silent

test-full: build ## every test, exhaustive and randomised ones in full
	@SEV_TEST_FULL=1 npm test --silent

test-fabric: build ## the tests on real Fabric; they say so and skip where its programs are missing
	@$(SEV) network programs >/dev/null && npm run test:fabric --silent

test-nodes: build ## contracts, protocol and learning on Node 22 and 24, taken from npm, side by side
	@npx concurrently --group --raw $(foreach version,$(NODES),"echo Node $(version); npx --yes --package node@$(version) -- \
	  node node_modules/mocha/bin/mocha.js --reporter dot '{chaincode/dist,fl/dist,application/dist/secure-protocol}/**/*.test.js'")

lint: build ## typed lint and format check
	@npx eslint . --max-warnings 0
	@npx prettier --check --log-level warn .

format: install ## format every file
	@npx prettier --write --log-level warn .

bench: build ## measure every figure beside its target, write runs/bench.json; BENCH=names for some only
	@node experiments/dist/bench.js $(BENCH)

experiments-learning: build ## errors of federations on the real data, write runs/learning.json; PART=names for some only
	@node experiments/dist/learning.js $(PART)

experiments-privacy: build ## attacks on privacy and the price of noise, write runs/privacy.json; PART=names for some only
	@node experiments/dist/privacy.js $(PART)

sybil: build ## 1,000 attempts at a second identity for one car, on a network of their own, write runs/sybil.json; SEED=
	@node experiments/dist/sybil.js $(SEED)

attacks: build ## federations under attack, write runs/attacks.json; ATTACKS=names VEHICLES= restrict the table, PART=names for others, all for all
	@node experiments/dist/attacks.js $(PART) $(if $(ATTACKS),--attacks "$(ATTACKS)") $(if $(VEHICLES),--vehicles "$(VEHICLES)")

# Of the same version as the rest of TensorFlow.js; not saved, so that `npm ci` removes it.
TFJS = $(shell node -p "require('./fl/package.json').dependencies['@tensorflow/tfjs-core']")
tfjs-node: build ## install TensorFlow's own library for engine tfjs; without it WebAssembly serves
	@npm install --no-save --no-fund --no-audit @tensorflow/tfjs-node@$(TFJS); code=$$?; \
	node --input-type=module -e "import { chooseEngine } from '@sev/fl'; \
	const { engine, reason } = await chooseEngine('tfjs'); console.log('engine tfjs is', engine + ':', reason)"; exit $$code

clean: ## remove what was compiled
	rm -rf */dist
