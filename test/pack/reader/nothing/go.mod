module example.invalid/nothing

go 1.16
