# A cluster on this machine: make up, make status, make down. Development: make check, make test, make bench.
# Settings: MNT= mount point, DIR= data and logs, PORT= name server (storage nodes at PORT+100...), NODES=, REPLICAS=,
# MIN_REPLICAS= copies that are enough while nodes are missing, CAPACITY= of each storage node (for example 10G; default: what its disk has), DOWN_AFTER= and OUT_AFTER= seconds of
# silence after which a storage node is down (10) and out (600).

MNT ?= /mnt/dfs
DIR ?= .dfs
PORT ?= 7400
NODES ?= 3
REPLICAS ?= 2
MIN_REPLICAS ?=
CAPACITY ?=
DOWN_AFTER ?=
OUT_AFTER ?=
PREFIX ?= /usr/local
SBIN ?= /sbin

DFS = node_modules/.bin/dfs
SOURCES := $(shell find src -name '*.ts')

.PHONY: help build up status down check test test-simulation coverage bench install uninstall clean
.PHONY: docker-build docker-up docker-down docker-shell docker-scale docker-kill docker-status docker-test

help:
	@echo 'make up       build, start a name server and $(NODES) storage nodes, mount $(MNT)'
	@echo 'make status   what runs and how it is'
	@echo 'make down     unmount and stop everything; the data stays in $(DIR)'
	@echo 'make test     all checks and tests        make check   only the static ones'
	@echo 'make test-simulation [SEED=n] [SEEDS=a-b]   a whole cluster in one process, from seeds'
	@echo 'make bench    measure this filesystem     make install put dfs and mount.dfs in place'
	@echo 'make clean    remove what was built'
	@echo 'make docker-build docker-up docker-shell docker-down: the same in containers (docker/README.md)'

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
	@$(DFS) cluster up --dir '$(DIR)' --port $(PORT) --mount '$(MNT)' --nodes $(NODES) --replicas $(REPLICAS) $(if $(MIN_REPLICAS),--min-replicas $(MIN_REPLICAS)) $(if $(CAPACITY),--capacity $(CAPACITY)) $(if $(DOWN_AFTER),--down-after $(DOWN_AFTER)) $(if $(OUT_AFTER),--out-after $(OUT_AFTER))

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

# A cluster in containers: see docker/README.md. None of these needs Node or npm on this machine.
# BASE= image to build on, IMAGE= name of what is built, PROJECT= name of the cluster, SECRET= file with the cluster's secret
# (made at the first docker-up), OFFLINE=1 takes the packages from ./node_modules instead of the registry.
BASE ?= node:20
IMAGE ?= dfs
PROJECT ?= dfs
SECRET ?= $(CURDIR)/docker/secret/cluster
OFFLINE ?=
NODE ?= 2
DOCKER_NODES_MAX = 9

# The plugin of docker, or the program that Debian has.
COMPOSE = IMAGE='$(IMAGE)' BASE='$(BASE)' SECRET='$(SECRET)' REPLICAS='$(REPLICAS)' \
	$(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose) \
	--project-name '$(PROJECT)' --profile more --file docker/compose.yaml
# A terminal when there is one: `echo ls | make docker-shell` works, too.
EXEC = $(COMPOSE) exec $(shell [ -t 0 ] || echo -T)
storage = $(addprefix storage-,$(shell seq $(1) $(2)))
# Not node_modules itself, but what is in it: it may be a link.
OFFLINE_CONTEXT = tar -c package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json src docker/Dockerfile \
	docker/health.mjs node_modules/.

docker-build:
ifeq ($(OFFLINE),)
	docker build --file docker/Dockerfile --tag '$(IMAGE)' --build-arg BASE='$(BASE)' .
else
	$(OFFLINE_CONTEXT) | docker build --file docker/Dockerfile --tag '$(IMAGE)' --build-arg BASE='$(BASE)' -
endif

$(SECRET):
	@mkdir -p '$(dir $(SECRET))' && chmod 700 '$(dir $(SECRET))'
	@head -c 32 /dev/urandom | base64 > '$@.new' && chmod 444 '$@.new' && mv '$@.new' '$@'

docker-up: $(SECRET)
	@docker image inspect '$(IMAGE)' >/dev/null 2>&1 || { echo 'there is no image $(IMAGE): make docker-build'; exit 1; }
	@$(COMPOSE) up --detach name $(call storage,1,$(NODES)) client

# The client first: it has yet to write what is in its memory only. The volumes stay, and so does what was written.
docker-down: $(SECRET)
	@$(COMPOSE) stop client
	@$(COMPOSE) down

docker-status: $(SECRET)
	@$(EXEC) client dfs status name:7400 --secret-file /run/secrets/cluster

docker-shell: $(SECRET)
	@$(EXEC) --workdir /mnt/dfs client bash

# So many storage nodes run afterwards. Before there are fewer: `dfs node drain`, or wait until repair has copied their blocks.
docker-scale: $(SECRET)
	@[ '$(NODES)' -ge 1 ] && [ '$(NODES)' -le $(DOCKER_NODES_MAX) ] || { echo 'NODES= is 1 to $(DOCKER_NODES_MAX)'; exit 1; }
	@$(COMPOSE) up --detach --no-recreate $(call storage,1,$(NODES))
	@[ '$(NODES)' -ge $(DOCKER_NODES_MAX) ] || $(COMPOSE) stop $(call storage,$(shell expr $(NODES) + 1),$(DOCKER_NODES_MAX))

# As a power failure would; `make docker-up` or `make docker-scale` starts it again.
docker-kill: $(SECRET)
	@$(COMPOSE) kill storage-$(NODE)

docker-test: build
	@node test/run.mjs containers
