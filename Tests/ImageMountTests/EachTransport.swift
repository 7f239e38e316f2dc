import Glibc
import HostSystem
import ImageMount
import Synchronization
import Testing

/// Runs every test of a suite once for each transport: a `FixtureMount` that is made in it uses the current one.
struct EachTransport: SuiteTrait, TestTrait, TestScoping {
  let isRecursive = true

  @TaskLocal static var current = ImageMountOptions.Transport.classic

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    RingParameter.turnOn()
    for transport in [ImageMountOptions.Transport.classic, .uring] {
      await Self.$current.withValue(transport) {
        do { try await function() } catch {
          Issue.record(error, "with the transport \(transport.rawValue)")
        }
      }
    }
  }
}

extension Trait where Self == EachTransport {
  /// See `EachTransport`.
  static var eachTransport: Self { EachTransport() }
}

/// The switch of FUSE over io_uring, which is off by default; put back when the tests end.
enum RingParameter {
  private static let path = "/sys/module/fuse/parameters/enable_uring"
  private static let wasOff = Mutex<Bool?>(nil)

  static func turnOn() {
    wasOff.withLock { wasOff in
      guard wasOff == nil, let file = try? Descriptor.open(path, O_RDWR),
        let text = try? file.readAll(limit: 1)
      else { return }
      wasOff = text != [UInt8(ascii: "Y")]
      guard wasOff == true else { return }
      set("Y")
      atexit { RingParameter.set("N") }
    }
  }

  private static func set(_ value: String) {
    guard let file = try? Descriptor.open(path, O_WRONLY) else { return }
    _ = write(file.rawValue, value, 1)
  }
}
