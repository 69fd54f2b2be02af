"""Writes images as OCI layouts with the tag 1, for small_layers.py and layered_images.py."""
import gzip
import hashlib
import json
import os

KIND = "application/vnd.oci.image."


def add_blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{digest}", "wb") as blob:
        blob.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def add_document(layout, kind, document):
    return {"mediaType": KIND + kind, **add_blob(layout, json.dumps(document).encode())}


def add_layer(layout, tar, is_packed):
    if not is_packed:
        return {"mediaType": KIND + "layer.v1.tar", **add_blob(layout, tar)}
    return {"mediaType": KIND + "layer.v1.tar+gzip", **add_blob(layout, gzip.compress(tar, 9, mtime=0))}


def write_layout(layout, tars, is_packed=False):
    """Layers are these tars, plain or in gzip, with busybox as the entry point; gives the sizes of their blobs."""
    os.makedirs(layout + "/blobs/sha256")
    layers = [add_layer(layout, tar, is_packed) for tar in tars]
    config = add_document(layout, "config.v1+json", {
        "architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/bin/busybox"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]}})
    manifest = add_document(layout, "manifest.v1+json", {
        "schemaVersion": 2, "mediaType": KIND + "manifest.v1+json", "layers": layers, "config": config})
    index = {"schemaVersion": 2, "manifests": [{**manifest, "annotations": {"org.opencontainers.image.ref.name": "1"}}]}
    with open(layout + "/index.json", "w", encoding="utf-8") as out:
        json.dump(index, out)
    with open(layout + "/oci-layout", "w", encoding="utf-8") as out:
        out.write('{"imageLayoutVersion":"1.0.0"}')
    return [layer["size"] for layer in layers]
