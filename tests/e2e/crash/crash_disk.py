"""A store on a file system of its own, which can be cut off from its power: what was not synced is lost."""
import fcntl
import os
import struct
import subprocess

from crash_world import Store

kShutdown = 0x8004587D  # EXT4_IOC_SHUTDOWN
kWithoutLog = struct.pack("I", 2)


def must(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def put_on_disk(store):
    """The image that each DiskStore begins with."""
    image = store.beside(".img")
    must("truncate", "-s", "48m", image)
    must("mkfs.ext4", "-q", image)
    folder = mount(image, store.beside(".disk"))
    if os.path.exists(store.folder):
        must("cp", "-a", store.folder, f"{folder}/store")
    must("umount", folder)
    return image


def mount(image, folder):
    os.makedirs(folder, exist_ok=True)
    must("mount", "-o", "loop", image, folder)
    return folder


class DiskStore(Store):
    def __init__(self, image, name, env):
        self.image = os.path.abspath(f"{name}.img")
        self.disk = os.path.abspath(f"{name}.disk")
        must("cp", "--sparse=always", image, self.image)
        mount(self.image, self.disk)
        super().__init__(f"{self.disk}/store", env, os.path.abspath(name))

    def cut_power(self):
        """A copy is mounted: what just ends may hold the old mount for a moment, and with it the old state."""
        folder = os.open(self.disk, os.O_RDONLY)
        fcntl.ioctl(folder, kShutdown, kWithoutLog)
        os.close(folder)
        must("cp", "--sparse=always", self.image, self.image + ".cut")
        must("umount", "--lazy", self.disk)
        os.rename(self.image + ".cut", self.image)
        mount(self.image, self.disk)

    def remove(self):
        must("umount", "--lazy", self.disk)
        os.rmdir(self.disk)
        os.unlink(self.image)
        super().remove()
