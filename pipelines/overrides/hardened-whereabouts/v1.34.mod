# As RKE2 v1.34.10 builds it: go-mod-overrides of its image-build repository.
-replace golang.org/x/net=golang.org/x/net@v0.56.0
-replace golang.org/x/sys=golang.org/x/sys@v0.44.0
-replace golang.org/x/text=golang.org/x/text@v0.39.0
