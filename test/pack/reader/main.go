// Reads archives as RKE2 v1.24.8 does: `reader unzstd FILE` and `reader find DIR REFERENCE`.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/klauspost/compress/zstd"
	"github.com/rancher/wharfie/pkg/tarfile"
)

// What was read: bytes and their SHA-256, or an image's parts.
type found struct {
	Bytes  int64    `json:"bytes,omitempty"`
	Sha256 string   `json:"sha256,omitempty"`
	Config string   `json:"config,omitempty"`
	Layers []string `json:"layers,omitempty"`
}

func main() {
	result, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) (*found, error) {
	switch {
	case len(args) == 2 && args[0] == "unzstd":
		return unzstd(args[1])
	case len(args) == 3 && args[0] == "find":
		return find(args[1], args[2])
	}
	return nil, fmt.Errorf("reader unzstd FILE | reader find DIR REFERENCE")
}

func unzstd(path string) (*found, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	decoder, err := zstd.NewReader(file, zstd.WithDecoderMaxMemory(tarfile.MaxDecoderMemory))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	return sum(decoder)
}

func sum(from io.Reader) (*found, error) {
	hash := sha256.New()
	size, err := io.Copy(hash, from)
	return &found{Bytes: size, Sha256: fmt.Sprintf("%x", hash.Sum(nil))}, err
}

// The image as RKE2 would stage it: every layer is uncompressed, whose digest must be the diff id of the config.
func find(dir, reference string) (*found, error) {
	tag, err := name.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	image, err := tarfile.FindImage(dir, tag)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigName()
	if err != nil {
		return nil, err
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	result := &found{Config: config.String()}
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			return nil, err
		}
		read, err := sum(content)
		if err != nil {
			return nil, err
		}
		result.Layers = append(result.Layers, "sha256:"+read.Sha256)
	}
	return result, nil
}
