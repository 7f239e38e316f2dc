import KeyManager

extension KeyQuery {
  /// Reads a listing's query string as Barbican does: odd limits and offsets are put right, not refused.
  init(_ items: QueryItems) throws(ServiceError) {
    for name in ["created", "updated", "expiration"] where items[name] != nil {
      throw ServiceError(
        .badRequest, "URI provided invalid query string parameters: '\(name)' is not supported.")
    }
    var type: SecretType?
    if let text = items["secret_type"] {
      type = SecretType(rawValue: text)
      guard type != nil else { throw .badQuery }
    }
    let paging = Paging(items)
    self.init(
      limit: paging.limit, offset: paging.offset, name: items["name"], type: type,
      algorithm: items["alg"],
      bitLength: items["bits"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil },
      mode: items["mode"])
    if let sort = items["sort"] {
      order = try Self.order(sort)
    }
  }

  private static func order(_ text: String) throws(ServiceError) -> [Order] {
    var orders: [Order] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let halves = part.split(separator: ":", omittingEmptySubsequences: false)
      let direction = halves.count > 1 ? halves[1] : "asc"
      guard halves.count <= 2, ["asc", "desc"].contains(direction),
        let field = Field(barbican: halves[0]), !orders.contains(where: { $0.field == field })
      else { throw .badQuery }
      orders.append(Order(field, ascending: direction == "asc"))
    }
    return orders
  }
}

extension KeyQuery.Field {
  fileprivate init?(barbican name: Substring) {
    switch name {
    case "bit_length": self = .bitLength
    case "bitLength": return nil
    default: self.init(rawValue: String(name))
    }
  }
}

/// Which part of a listing: 10 by default, 100 at most.
struct Paging {
  let limit: Int
  let offset: Int

  init(_ items: QueryItems) {
    limit = items["limit"].flatMap { Int($0) }.map { min(max($0, 1), 100) } ?? 10
    offset = items["offset"].flatMap { Int($0) }.map { max($0, 0) } ?? 0
  }
}

/// The URLs of the pages before and after this one.
struct PageLinks {
  var next: String?
  var previous: String?

  /// - Parameter otherItems: what the query string holds besides limit and offset.
  init(url: String, limit: Int, offset: Int, shown: Int, total: Int, otherItems: String = "") {
    // As Barbican, no links on a page behind the last one.
    guard shown > 0 else { return }
    func page(at offset: Int) -> String {
      "\(url)?limit=\(limit)&offset=\(offset)" + (otherItems.isEmpty ? "" : "&\(otherItems)")
    }
    if offset > 0 { previous = page(at: max(0, offset - limit)) }
    if total > offset + limit { next = page(at: offset + limit) }
  }
}
