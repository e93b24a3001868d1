"""Names of releases, oldest first."""

A = "20261101T100000-aaaaaaa"
B = "20261102T100000-bbbbbbb"
C = "20261103T100000-ccccccc"
D = "20261104T100000-ddddddd"
E = "20261105T100000-eeeeeee"
F = "20261106T100000-fffffff"
