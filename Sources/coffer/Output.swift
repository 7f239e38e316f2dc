import ArgumentParser
import VolumeAPI

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The option of every command that prints.
struct OutputOptions: ParsableArguments {
  @Flag(name: .long, help: "Print JSON; errors too.")
  var json = false
}

protocol PrintingCommand: ParsableCommand {
  var output: OutputOptions { get }
}

enum JSONOutput {
  static func text(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else { return "{}" }
    return String(decoding: data, as: UTF8.self)
  }
}

extension PrintingCommand {
  /// Prints one object: as JSON, or a line per field.
  func show<Value: Encodable>(_ value: Value, fields: [(String, String)]) {
    if output.json { return print(JSONOutput.text(value)) }
    let width = fields.map(\.0.count).max() ?? 0
    for (name, text) in fields {
      print("\(name):".padded(to: width + 2) + text)
    }
  }

  /// Prints a list: as a JSON array, or a table.
  func show<Value: Encodable>(_ values: [Value], header: [String], row: (Value) -> [String]) {
    if output.json { return print(JSONOutput.text(values)) }
    let rows = [header] + values.map(row)
    let widths = header.indices.map { column in rows.map(\.[column].count).max() ?? 0 }
    for cells in rows {
      var line = ""
      for (column, cell) in cells.enumerated() {
        line += column == cells.count - 1 ? cell : cell.padded(to: widths[column] + 2)
      }
      print(line)
    }
  }
}

extension String {
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}
