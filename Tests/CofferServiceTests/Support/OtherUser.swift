import Glibc
import HostSystem

/// Sends a request from a process of another user, and returns the answer.
func askAs(uid: UInt32, _ socket: String, text: String) async throws -> Answer {
  try await blocking {
    let client = """
      import socket, sys
      s = socket.socket(socket.AF_UNIX)
      s.settimeout(30)
      s.connect(sys.argv[1])
      s.sendall(sys.argv[2].encode())
      s.shutdown(socket.SHUT_WR)
      while data := s.recv(65536):
          sys.stdout.buffer.write(data)
      """
    var pipe = try Pipe.make()
    let child = try ChildProcess.spawn(
      "/usr/bin/setpriv",
      arguments: [
        "--reuid=\(uid)", "--regid=\(uid)", "--clear-groups", "/usr/bin/python3", "-c", client,
        socket, text,
      ],
      environment: ["PATH=/usr/bin:/bin"],
      descriptors: [(child: 1, ours: pipe.writer.rawValue), (child: 2, ours: 2)])
    pipe.writer = Descriptor(adopting: -1)
    let bytes = try pipe.reader.readAll(limit: 1 << 20)
    let status = try child.wait()
    guard status == .exited(0), let answer = Answer(bytes) else {
      throw Failure("the client of user \(uid) ended with \(status)")
    }
    return answer
  }
}
