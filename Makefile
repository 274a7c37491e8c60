# Every task of the project. `make` alone lists them.

ADDR     ?= 127.0.0.1:9000
TEMPLATE ?= invoice
CACHE    := $(or $(PRESSRUN_CACHE),$(HOME)/.cache/pressrun)
PYTHON   := $(CACHE)/venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help run test e2e chaos proof fuzz bench openapi terraform-docs lint audit build tf deploy destroy send redrive rollback cost tools

help: ## list these tasks
	@echo "make TASK"
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

# --- On this machine ---

run: ## serve on this machine (ADDR=127.0.0.1:9000)
	cargo run -p pressrun -- serve --addr $(ADDR)

test: tools ## run every Rust test, those of the AWS backend against an emulator
	e2e/with-emulator cargo test --workspace -- --include-ignored

e2e: tools build ## deploy the zips to an emulated AWS with Terraform and use them as a caller would
	cargo build --workspace --bin pressrun --test command_line
	e2e/with-emulator $(PYTHON) -m pytest e2e -m "$(or $(MARKS),not chaos)" $(PYTEST_ARGS)

chaos: tools build ## stop the work at every step, kill servers and functions at random, and see that no job is lost
	e2e/with-emulator cargo test --workspace --test chaos -- --include-ignored
	e2e/with-emulator $(PYTHON) -m pytest e2e -m chaos -s $(PYTEST_ARGS)

proof: tools ## hold the figures, pages and characters of thousands of documents to what they should be
	cargo build --workspace --bin pressrun
	$(PYTHON) -m pytest e2e -m many $(PYTEST_ARGS)

fuzz: ## feed the parsers what nobody would send
	scripts/fuzz

bench: build ## measure time, memory and cost beside other tools (ROWS=1000,10000 for less)
	bench/prepare
	cargo build --release -p pressrun
	$(CACHE)/bench-venv/bin/python -m bench --program $${CARGO_TARGET_DIR:-target}/release/pressrun $(addprefix --rows ,$(ROWS)) $(BENCH_ARGS)

openapi: ## write resources/openapi.json anew, after a call has changed
	UPDATE=1 cargo test --workspace --test openapi

terraform-docs: tools ## write the tables of variables and outputs into README.md anew
	$(PYTHON) scripts/terraform-docs

lint: tools ## check format, lints, docs and Terraform, whose tests break each of its rules
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	$(PYTHON) scripts/terraform-docs --check
	scripts/lint-terraform

audit: ## check licences, advisories and duplicates of crates, unused ones, pinned actions, and what checkov finds
	scripts/audit

tools: ## install what the tests need
	scripts/tools

# --- On AWS ---

build: ## make the zips of the functions in dist/ (ARCH=x86_64 or arm64)
	scripts/build

tf: ## build, then create or update everything on AWS (TF_ARGS=-auto-approve)
	scripts/check-deploy
	scripts/build
	terraform init -input=false
	terraform apply $(TF_ARGS)
	@echo "Next: make send"

deploy: ## build, then update the code and templates of the functions only
	scripts/check-deploy
	scripts/build
	terraform apply $(addprefix -target=aws_lambda_alias.,listener processor sweeper courier websocket) $(TF_ARGS)

destroy: ## remove everything from AWS
	terraform destroy $(TF_ARGS)

send: ## queue a sample and follow it to its report (TEMPLATE=invoice, URL=… TOKEN=… for another server)
	@scripts/send $(TEMPLATE)

rollback: tools ## set the functions back to an earlier release (RELEASE=v0.1.0; without one: which there are)
	@$(PYTHON) scripts/rollback $(RELEASE)

cost: ## estimate dollars a month (REPORTS=1000 a month of PAGES=1 or ROWS=0)
	@python3 scripts/cost --reports $(or $(REPORTS),1000) --pages $(or $(PAGES),1) --rows $(or $(ROWS),0) $(COST_ARGS)

redrive: tools ## move what is in the dead-letter queue back to the jobs queue, once its cause is mended
	@$(PYTHON) scripts/redrive
