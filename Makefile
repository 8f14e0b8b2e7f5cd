# A cluster on this machine: make up, make status, make down. Development: make check, make test, make bench.
# Settings: MNT= mount point, DIR= data and logs, PORT= name server (storage nodes at PORT+100...), NODES=, REPLICAS=,
# CAPACITY= of each storage node (for example 10G; default: what its disk has).

MNT ?= /mnt/dfs
DIR ?= .dfs
PORT ?= 7400
NODES ?= 3
REPLICAS ?= 2
CAPACITY ?=
PREFIX ?= /usr/local
SBIN ?= /sbin

DFS = node_modules/.bin/dfs
SOURCES := $(shell find src -name '*.ts')

.PHONY: help build up status down check test test-simulation coverage bench install uninstall clean

help:
	@echo 'make up       build, start a name server and $(NODES) storage nodes, mount $(MNT)'
	@echo 'make status   what runs and how it is'
	@echo 'make down     unmount and stop everything; the data stays in $(DIR)'
	@echo 'make test     all checks and tests        make check   only the static ones'
	@echo 'make test-simulation [SEED=n] [SEEDS=a-b]   a whole cluster in one process, from seeds'
	@echo 'make bench    measure this filesystem     make install put dfs and mount.dfs in place'
	@echo 'make clean    remove what was built'

build: dist/.built

node_modules/.installed: package.json package-lock.json
	npm ci --no-fund --no-audit
	@touch $@

dist/.built: node_modules/.installed tsconfig.json tsconfig.build.json $(SOURCES)
	@rm -rf dist .cache/build.tsbuildinfo
	node_modules/.bin/tsc -p tsconfig.build.json
	@chmod +x dist/cli/main.js
	@mkdir -p node_modules/.bin && ln -sfn ../../dist/cli/main.js $(DFS)
	@touch $@

up: build
	@$(DFS) cluster up --dir '$(DIR)' --port $(PORT) --mount '$(MNT)' --nodes $(NODES) --replicas $(REPLICAS) $(if $(CAPACITY),--capacity $(CAPACITY))

status: build
	@$(DFS) status 127.0.0.1:$(PORT)

down: build
	@$(DFS) cluster down --dir '$(DIR)' --port $(PORT) --mount '$(MNT)'

check: build
	node_modules/.bin/tsc -p tsconfig.json
	node_modules/.bin/eslint .
	node_modules/.bin/depcruise src test
	node_modules/.bin/knip
	node_modules/.bin/prettier --check --log-level warn .

test: build
	@node test/run.mjs

# SEED=7: that one, with its trace. SEEDS=1-500: others than the default's.
test-simulation: node_modules/.installed
	@$(if $(SEED),SEED=$(SEED)) $(if $(SEEDS),SEEDS=$(SEEDS)) node --import=tsx test/simulation/run.ts

coverage: build
	node_modules/.bin/c8 --src src --reporter text-summary node_modules/.bin/ava 'test/{base,rpc,security,protocol,journal,metadata-store,block-store,remote,cache,vfs,name-server,storage-node,cli}/**/*.test.ts'

bench: build
	@node --import=tsx test/bench/run.ts $(BENCH)

# A package of what runs (no development dependencies) under PREFIX/lib/dfs, and the helpers that mount(8) looks for.
install: build
	@rm -rf '$(DESTDIR)$(PREFIX)/lib/dfs' && mkdir -p '$(DESTDIR)$(PREFIX)/lib/dfs' '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(SBIN)'
	cp -R dist package.json package-lock.json .npmrc '$(DESTDIR)$(PREFIX)/lib/dfs/'
	cd '$(DESTDIR)$(PREFIX)/lib/dfs' && npm ci --omit=dev --no-fund --no-audit
	ln -sfn '$(PREFIX)/lib/dfs/dist/cli/main.js' '$(DESTDIR)$(PREFIX)/bin/dfs'
	ln -sfn '$(PREFIX)/lib/dfs/dist/cli/mount-helper.js' '$(DESTDIR)$(SBIN)/mount.dfs'
	ln -sfn '$(PREFIX)/lib/dfs/dist/cli/mount-helper.js' '$(DESTDIR)$(SBIN)/mount.fuse.dfs'
	ln -sfn '$(PREFIX)/lib/dfs/dist/cli/umount-helper.js' '$(DESTDIR)$(SBIN)/umount.fuse.dfs'
	chmod +x '$(DESTDIR)$(PREFIX)/lib/dfs/dist/cli/'*.js

uninstall:
	rm -rf '$(DESTDIR)$(PREFIX)/lib/dfs'
	rm -f '$(DESTDIR)$(PREFIX)/bin/dfs' '$(DESTDIR)$(SBIN)/mount.dfs' '$(DESTDIR)$(SBIN)/mount.fuse.dfs' '$(DESTDIR)$(SBIN)/umount.fuse.dfs'

clean:
	rm -rf dist coverage .cache
