import FoundationEssentials
import GRDB
import KeyManager
import Testing

@testable import KeyStore

@Suite struct ListingTests {
  private static let fields: [KeyQuery.Field] = [
    .created, .updated, .name, .algorithm, .bitLength, .mode, .expiration, .status,
  ]

  /// Random queries give what sorting and filtering all the records in memory gives.
  @Test func agreesWithAModel() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    var records: [KeyRecord] = []
    let soon = Timestamp.now().microseconds + 3_600_000_000
    for _ in 0..<120 {
      let attributes = KeyAttributes(
        name: [nil, "", "a", "A", "b", "b%", "é"].randomElement(using: &random)!,
        type: SecretType.allCases.randomElement(using: &random)!,
        algorithm: [nil, "", "aes", "AES", "hmacsha1"].randomElement(using: &random)!,
        bitLength: [nil, 1, 128, 256].randomElement(using: &random)!,
        mode: [nil, "xts", "XTS", "cbc"].randomElement(using: &random)!,
        expiration: [nil, soon, soon + 1].randomElement(using: &random)!.map {
          Timestamp(microseconds: $0)
        })
      let id = try await manager.store("v", attributes)
      records.append(try await manager.record(of: id, context: alice))
      if Int.random(in: 0..<4, using: &random) == 0 {
        _ = try await manager.store("v", attributes, context: bob)
      }
      if Int.random(in: 0..<6, using: &random) == 0 {
        let gone = records.remove(at: Int.random(in: 0..<records.count, using: &random))
        try await manager.delete(gone.id, context: alice)
      }
    }
    for _ in 0..<400 {
      let order = (0..<Int.random(in: 0...3, using: &random)).map { _ in
        KeyQuery.Order(
          Self.fields.randomElement(using: &random)!, ascending: .random(using: &random))
      }
      let query = KeyQuery(
        limit: Int.random(in: 1...100, using: &random),
        offset: Int.random(in: 0..<130, using: &random),
        name: [nil, nil, nil, "", "a", "b%", "é", "none"].randomElement(using: &random)!,
        type: [nil, nil, .symmetric, .opaque].randomElement(using: &random)!,
        algorithm: [nil, nil, "", "Aes", "none"].randomElement(using: &random)!,
        bitLength: [nil, nil, 128, 7].randomElement(using: &random)!,
        mode: [nil, nil, "xTs", "cbc"].randomElement(using: &random)!, order: order)
      let expected = Model(records: records).page(query)
      let page = try await manager.list(query, context: alice)
      #expect(page == expected, "seed \(seed), \(query)")
    }
    try await manager.close()
  }

  @Test func theDefaultIsOldestFirst() async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    var ids: [KeyID] = []
    for _ in 0..<12 { ids.append(try await manager.store("v")) }
    let page = try await manager.list(KeyQuery(), context: alice)
    #expect(page.records.map(\.id) == Array(ids[..<10]))
    #expect(page.total == 12)
    let next = try await manager.list(KeyQuery(offset: 10), context: alice)
    #expect(next.records.map(\.id) == Array(ids[10...]))
    try await manager.close()
  }

  @Test func refusesWhatIsNoPage() async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    for query in [
      KeyQuery(limit: 0), KeyQuery(limit: -1), KeyQuery(limit: 101), KeyQuery(offset: -1),
    ] {
      let error = await failure { _ = try await manager.list(query, context: alice) }
      #expect(error?.code == .invalidRequest)
    }
    try await manager.close()
  }

  /// With 100 000 keys in one project and some in others.
  @Test func noQueryWalksAllKeys() async throws {
    let directory = try TemporaryDirectory()
    let manager = try await directory.open()
    let id = try await manager.createKey(KeyAttributes(name: "last"), context: alice)
    _ = try await manager.createKey(KeyAttributes(), context: bob)
    try manager.database.onWriter { db in
      try db.execute(
        sql: """
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
          INSERT INTO secrets (
            project, id, creator, created, updated, name, type, algorithm, bit_length, mode,
            expiration, has_value, wrapped)
          SELECT 1 + (i % 10 = 0),
            printf('%08x-0000-4000-8000-%012x', i * 40503 % 4294967296, i), 'u', i, i, 'name ' || i,
            'symmetric', 'aes', 256, iif(i % 2, 'xts', NULL), iif(i % 100, NULL, 1), 1, zeroblob(61)
          FROM n
          """)
    }
    let project: String = alice.project
    try manager.database.onWriter { db in
      let lookup = try plan(StoredSecret.lookup, [project, id.description], db)
      #expect(lookup.contains("SEARCH secrets USING INDEX"), "\(lookup)")
      #expect(lookup.contains("(project=? AND id=?)"), "\(lookup)")
      #expect(!lookup.contains("SCAN"), "\(lookup)")

      for query in queries {
        let listing = Listing(query, project: project, now: .now())
        let steps = try plan(listing.sql, listing.arguments, db)
        #expect(!steps.contains("SCAN"), "\(query): \(steps)")
        #expect(!steps.contains("TEMP B-TREE"), "\(query): \(steps)")
        let total = try plan(listing.total.sql, listing.total.arguments, db)
        #expect(!total.contains("SCAN secret"), "\(query): \(total)")
      }
    }
    #expect(try await manager.value(id).count == 32)
    let page = try await manager.list(KeyQuery(name: "last"), context: alice)
    #expect(page.records.map(\.id) == [id])
    #expect(page.total == 1)

    // The totals that the triggers keep are those that counting gives.
    let now = Timestamp.now()
    for query in queries {
      let totals = try manager.database.onWriter { db in
        let listing = Listing(query, project: project, now: now)
        return [
          try listing.fetchTotal(db),
          try Int.fetchOne(
            db,
            sql: """
              SELECT count(*) FROM secrets JOIN projects ON projects.id = project
              WHERE projects.name = ? AND (expiration IS NULL OR expiration > ?)
                AND (?3 IS NULL OR secrets.name = ?3) AND (?4 IS NULL OR type = ?4)
                AND (?5 IS NULL OR algorithm = ?5) AND (?6 IS NULL OR bit_length = ?6)
                AND (?7 IS NULL OR mode = ?7)
              """,
            arguments: [
              project, now.microseconds, query.name, query.type?.rawValue, query.algorithm,
              query.bitLength, query.mode,
            ]),
        ]
      }
      #expect(totals[0] == totals[1], "\(query)")
    }
    try await manager.close()
  }

  /// Each order alone, and each filter in the default order.
  private var queries: [KeyQuery] {
    Self.fields.flatMap { field in
      [true, false].map { KeyQuery(order: [KeyQuery.Order(field, ascending: $0)]) }
    } + [
      KeyQuery(), KeyQuery(order: []), KeyQuery(name: "name 7"), KeyQuery(type: .symmetric),
      KeyQuery(type: .opaque), KeyQuery(algorithm: "aes"), KeyQuery(bitLength: 256),
      KeyQuery(mode: "xts"), KeyQuery(mode: "cbc"),
    ]
  }

  private func plan(
    _ sql: String, _ arguments: StatementArguments, _ db: Database
  ) throws -> String {
    try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN " + sql, arguments: arguments)
      .map { $0["detail"] as String }.joined(separator: "; ")
  }
}

/// Listing as one would write it over an array in the order of creation.
private struct Model {
  let records: [KeyRecord]

  func page(_ query: KeyQuery) -> KeyPage {
    func same(_ wanted: String?, _ value: String?, caseless: Bool) -> Bool {
      guard let wanted, !wanted.isEmpty else { return true }
      return caseless ? wanted.lowercased() == value?.lowercased() : wanted == value
    }
    let matching = records.filter { record in
      let attributes = record.attributes
      return same(query.name, attributes.name, caseless: false)
        && same(query.algorithm, attributes.algorithm, caseless: true)
        && same(query.mode, attributes.mode, caseless: true)
        && (query.type == nil || query.type == attributes.type)
        && (query.bitLength == nil || query.bitLength == attributes.bitLength)
    }
    let ascendingTies = query.order.last?.ascending ?? true
    let sorted = matching.enumerated().sorted { a, b in
      for order in query.order {
        let (x, y) = (rank(a.element, order.field), rank(b.element, order.field))
        if x != y { return order.ascending == x.lexicographicallyPrecedes(y) }
      }
      return ascendingTies == (a.offset < b.offset)
    }.map(\.element)
    return KeyPage(
      records: Array(sorted.dropFirst(query.offset).prefix(query.limit)), total: matching.count)
  }

  /// To be compared in lexicographic order; an absent value comes first.
  private func rank(_ record: KeyRecord, _ field: KeyQuery.Field) -> [Int64] {
    func number(_ value: Int64?) -> [Int64] { value.map { [1, $0] } ?? [0] }
    func text(_ value: String?) -> [Int64] { value.map { [1] + $0.utf8.map(Int64.init) } ?? [0] }
    let attributes = record.attributes
    return switch field {
    case .created: number(record.created.microseconds)
    case .updated: number(record.updated.microseconds)
    case .name: text(attributes.name)
    case .algorithm: text(attributes.algorithm?.lowercased())
    case .bitLength: number(attributes.bitLength.map(Int64.init))
    case .mode: text(attributes.mode?.lowercased())
    case .expiration: number(attributes.expiration?.microseconds)
    case .status: []
    }
  }
}
