// Serves an image with a well-known key, for the tests of ImageMount: a process that hung on a mount
// of its own could not be cleaned up.
//
//   ImageMountFixture IMAGE MOUNTPOINT DATA-OFFSET SIZE SECTOR-SIZE IV-TWEAK [OPTION...]
//
// Prints `ready` on standard output once mounted; on failure the code and the text of the error on standard
// error, and exits with 1. An option is `ro`, `allow_other`, `transport=NAME`, `cache=NAME`,
// `backing-cache=none`, `threads=N`, `uid=N`, `gid=N`, or one of `extra`.

import BlockImage
import Glibc
import HostSystem
import ImageMount
import SecretMemory
import SectorCipher

func fail(_ text: String) -> Never {
  _ = (text + "\n").withCString { write(STDERR_FILENO, $0, strlen($0)) }
  exit(1)
}

let arguments = CommandLine.arguments
guard arguments.count >= 7, let dataOffset = UInt64(arguments[3]), let size = UInt64(arguments[4]),
  let sectorSize = Int(arguments[5]), let ivTweak = UInt64(arguments[6]),
  let geometry = BlockGeometry(
    dataOffset: dataOffset, size: size, sectorSize: sectorSize, ivTweak: ivTweak)
else { fail("usage") }
var options = ImageMountOptions(mountpoint: arguments[2], sourceName: "fixture,with\\comma")
var backing = BackingOptions()
for option in arguments.dropFirst(7) {
  switch option {
  case "ro": options.readOnly = true
  case "allow_other": options.allowOther = true
  case _ where option.hasPrefix("threads="): options.threadCount = Int(option.dropFirst(8))
  case "backing-cache=none": backing.bypassesCache = true
  case _ where option.hasPrefix("transport="):
    options.transport = .init(rawValue: String(option.dropFirst(10)))!
  case _ where option.hasPrefix("cache="):
    options.cache = .init(rawValue: String(option.dropFirst(6)))!
  case _ where option.hasPrefix("uid="): options.uid = UInt32(option.dropFirst(4))
  case _ where option.hasPrefix("gid="): options.gid = UInt32(option.dropFirst(4))
  default: options.extra.append(option)
  }
}

do {
  var keyBytes = (0..<64).map { UInt8($0) }
  let key = try SecretBytes.taking(&keyBytes)
  let image = try BlockImage.open(
    descriptor: try .open(arguments[1], options.readOnly ? O_RDONLY : O_RDWR), geometry: geometry,
    cipher: try SectorCipher(key: key, sectorSize: sectorSize), readOnly: options.readOnly,
    backing)
  let mount = try ImageMount.mount(image, options)
  print("ready")
  fflush(nil)
  try mount.serve()
} catch let error as ImageMountError {
  fail("\(error.code.rawValue)\n\(error)")
} catch {
  fail("\(error)")
}
