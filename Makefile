# What a newcomer needs: make run, then make buy in a second terminal. The machine needs Node ≥ 20, npm and make, no more.
.PHONY: run buy prove test chaos mutants lint bench audit clean
.DEFAULT_GOAL := run
bin := $(CURDIR)/node_modules/.bin
export PATH := $(bin):$(PATH)

run: node_modules/.package-lock.json ## starts the shop with everything it needs
	@bin/stoa serve

buy: ## buys a product from the running shop, each request shown as a curl
	@node scripts/buy.mjs

prove: node_modules/.package-lock.json ## races, replays and kills against two service processes, then the audit
	@node scripts/prove.ts

test: node_modules/.package-lock.json
	@vitest run

chaos: node_modules/.package-lock.json ## tries the promises with kills, cuts, floods and fuzz, from a fresh seed: half an hour
	@node scripts/chaos.ts $(ARGS)

mutants: node_modules/.package-lock.json ## plants known bugs one by one, and wants the tests to find each
	@node scripts/mutants.ts $(ARGS)

lint: node_modules/.package-lock.json
	@npm run --silent lint && npm run --silent typecheck && npm run --silent boundaries && npm run --silent deadcode

bench: node_modules/.package-lock.json ## speed, as ratios to a ceiling measured in the same run
	@node bench/main.ts

audit: node_modules/.package-lock.json ## holds the books of the shop against what they promise
	@bin/stoa audit

clean: ## removes what was installed; the shop's data in .stoa/ stays
	rm -rf node_modules coverage

# Installs what the lockfile says, when it says something new; an install that would rewrite the lockfile is a mistake in it.
node_modules/.package-lock.json: package.json package-lock.json
	@before=$$(cksum < package-lock.json); \
	npm install --no-audit --no-fund --loglevel=error; \
	if [ "$$before" != "$$(cksum < package-lock.json)" ]; then \
	  echo 'package-lock.json does not fit package.json: npm install changed it.' >&2; exit 1; fi
	@touch $@
