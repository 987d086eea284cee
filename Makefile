# `make demo` and `make test` install all that they need; see README.md and CONTRIBUTING.md.
.DEFAULT_GOAL := help
py := .venv/bin/python
# Bytecode is compiled once, outside the tree. Otherwise each command that a test starts compiles its imports again.
export PYTHONPYCACHEPREFIX = $(CURDIR)/.venv/bytecode
unexport PYTHONDONTWRITEBYTECODE

# Debian packages, each installed only when missing
packages_base := python3-venv
packages_demo := $(packages_base) oathtool faketime
# compilers and headers for the login shims and the TPM binding
packages_native := gcc libc6-dev python3-dev pkg-config libpam0g-dev libtss2-dev
# programs for the tests of logins and TPM; greetd is only unpacked, because an installed one would manage this display
packages_logins := iproute2 openssh-server openssh-client sshpass expect sudo pamtester vlock unpacked/greetd \
	swtpm tpm2-tools cryptsetup-bin
# readers of the systemd units, and a desktop bus
packages_service := systemd dbus-daemon
# readers of the manual pages and shells of the completions
packages_manual := mandoc bsdextrautils zsh fish
packages_test := $(packages_demo) postgresql-17 stoken pskctool rsyslog rsyslog-openssl chromium fonts-dejavu-core \
	$(packages_native) $(packages_logins) $(packages_service) $(packages_manual)
packages_deb := $(packages_base) $(packages_native) dpkg-dev debhelper
packages_bench := $(packages_test) wrk

.PHONY: help
help: ## prints this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: ## plays the whole story on this machine; EXIT=1 exits at its end, PG=1 adds PostgreSQL with two servers
	@tools/setup $(packages_demo) $(if $(PG),postgresql-17)
	@$(py) -m tools.demo $(if $(EXIT),--exit) $(if $(PG),--postgresql)

.PHONY: test
test: ## runs every test, also on PostgreSQL
	@tools/setup $(packages_test)
	@$(py) -m pytest -n 3 --dist worksteal -m "not alone" $(ARGS) # for two cores: tests wait for processes and clocks
	@$(py) -m pytest -m alone $(ARGS) || [ $$? -eq 5 ] # 5: ARGS chose none of these

.PHONY: quick
quick: ## runs the tests that need no service, also on python3.11 if it is installed
	@tools/setup $(packages_base)
	@$(py) -m pytest -m "not services" $(ARGS)
	@tools/on-python-3.11 -m pytest -q -m "not services" $(ARGS)

.PHONY: check
check: ## checks lint, format, types (for Python 3.11 and 3.13) and import contracts
	@tools/setup $(packages_base) $(packages_native)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy --python-version 3.11 src tests bench tools spec
	@.venv/bin/mypy --python-version 3.13 src tests bench tools spec
	@.venv/bin/lint-imports
	@$(py) -m tools.commit_subjects

.PHONY: coverage
coverage: ## lines and branches that the tests take; the files that decide need all. Slow. ARGS='-m "not services"'
	@tools/setup $(packages_test)
	@mkdir -p .venv/coverage
	@.venv/bin/coverage erase
	@.venv/bin/coverage run -m pytest -n 3 --dist worksteal -m "not alone" $(ARGS)
	@.venv/bin/coverage combine -q
	@.venv/bin/coverage json -q --fail-under=0 -o .venv/coverage/report.json
	@.venv/bin/coverage report
	@$(py) -m tools.deciding .venv/coverage/report.json

.PHONY: mutants
mutants: ## small changes of the files that decide, which a test must catch; resumable; ARGS=core/policy/lockout.py
	@tools/setup $(packages_test)
	@$(py) -m tools.mutants $(ARGS)

.PHONY: soak
soak: ## runs the S-tests at full counts, resumable; writes docs/soak.json
	@tools/setup $(packages_test)
	@$(py) -m tools.soak $(ARGS)

.PHONY: faults
faults: ## removes each defence in turn and expects its S-tests to fail
	@tools/setup $(packages_test)
	@$(py) -m tools.faults $(ARGS)

.PHONY: bench
bench: ## measures speed as ratios in one run; FULL=1 for the large sizes
	@tools/setup $(packages_bench)
	@$(py) -m bench $(if $(FULL),--full) $(ARGS)

.PHONY: screens
screens: ## takes a picture of every page, light and dark, wide and narrow, in docs/screens
	@tools/setup $(packages_base) chromium fonts-dejavu-core
	@$(py) -m tools.screens $(ARGS)

.PHONY: deb
deb: ## builds Debian packages of agent and server for this release, in dist
	@tools/setup $(packages_deb)
	@packaging/deb/build $(VERSION)

.PHONY: deb-test
deb-test: deb ## installs, uses, upgrades and removes the packages in a fresh Debian (as root)
	@tools/setup $(packages_deb) debootstrap lintian
	@lintian --allow-root --fail-on error,warning dist/*.deb
	@packaging/deb/test

.PHONY: lock
lock: ## updates requirements.lock and requirements-tpm.lock from pyproject.toml
	@.venv/bin/uv pip compile -q pyproject.toml --extra agent --extra server --group dev --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock
	@.venv/bin/uv pip compile -q pyproject.toml --extra tpm -c requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate -o requirements-tpm.lock
