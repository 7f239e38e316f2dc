import ArgumentParser
import VolumeManager

/// The process in which `cofferd` touches images: see `ImageWorker`.
struct Worker: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker",
    abstract: "Does one piece of work on an image with the caller's rights; cofferd starts it.",
    shouldDisplay: false)

  func run() async throws {
    throw ExitCode(await ImageWorker.run())
  }
}
