"""Takes a terminal's master at a unix socket, as an engine does, and keeps what is written to it.
console.py SOCKET OUTPUT: says the window's size on standard output, ends with the terminal."""
import array, fcntl, os, socket, struct, sys, termios

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(1)
connection, _ = listener.accept()
data, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
master = array.array("i", ancillary[0][2])[0]
rows, columns = struct.unpack("HHHH", fcntl.ioctl(master, termios.TIOCGWINSZ, b"\0" * 8))[:2]
print("size", rows, columns, flush=True)
with open(sys.argv[2], "wb") as out:
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:  # the last holder of the other end is gone
            break
        if not chunk:
            break
        out.write(chunk)
        out.flush()
