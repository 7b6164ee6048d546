module example.invalid/reader

go 1.21

require (
	github.com/google/go-containerregistry v0.7.0
	github.com/klauspost/compress v1.13.6
	github.com/rancher/wharfie v0.5.3
)

require (
	github.com/containerd/stargz-snapshotter/estargz v0.10.0 // indirect
	github.com/cpuguy83/go-md2man/v2 v2.0.1 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.0.2-0.20210730191737-8e42a01fb1b7 // indirect
	github.com/pierrec/lz4 v2.6.0+incompatible // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/russross/blackfriday/v2 v2.1.0 // indirect
	github.com/sirupsen/logrus v1.8.1 // indirect
	github.com/urfave/cli v1.22.4 // indirect
	github.com/vbatts/tar-split v0.11.2 // indirect
	golang.org/x/sync v0.0.0-20210220032951-036812b2e83c // indirect
	golang.org/x/sys v0.0.0-20211110154304-99a53858aa08 // indirect
)

// a requirement of wharfie's that its archive reader does not use
replace k8s.io/kubernetes => ./nothing
