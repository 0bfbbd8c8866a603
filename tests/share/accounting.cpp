// Accounting against brute force: every byte asked who holds it.
#include "cotenant/share/accounting.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <random>
#include <set>
#include <vector>

namespace ct = cotenant;
using ct::detail::Holding;
using ct::detail::share_out;

TEST_CASE("shares of random overlapping ranges agree with counting bytes") {
  std::mt19937 random(5);
  const auto below = [&](std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random); };
  constexpr std::size_t blocks = 3, block_bytes = 40;
  const char identities[blocks] = {};
  for (int round = 0; round < 2000; ++round) {
    const std::size_t models = 1 + below(5);
    std::vector<Holding> holdings;
    std::set<std::size_t> holders[blocks][block_bytes];
    for (std::size_t count = below(12); count-- > 0;) {
      const std::size_t block = below(blocks), first = below(block_bytes), last = first + below(block_bytes - first + 1), model = below(models);
      holdings.push_back({{&identities[block], first, last}, model});
      for (std::size_t byte = first; byte < last; ++byte) holders[block][byte].insert(model);
    }
    std::vector<ct::detail::ModelShare> expected(models);
    std::size_t saved = 0;
    for (const auto& block : holders)
      for (const auto& byte : block) {
        if (byte.size() > 1) saved += byte.size() - 1;
        for (std::size_t model : byte) {
          ++(byte.size() == 1 ? expected[model].unique_bytes : expected[model].shared_bytes);
          expected[model].proportional_bytes += 1.0 / static_cast<double>(byte.size());
        }
      }
    const ct::detail::Shares shares = share_out(holdings, models);
    REQUIRE(shares.saved_bytes == saved);
    for (std::size_t model = 0; model < models; ++model) {
      REQUIRE(shares.models[model].unique_bytes == expected[model].unique_bytes);
      REQUIRE(shares.models[model].shared_bytes == expected[model].shared_bytes);
      REQUIRE(shares.models[model].proportional_bytes == doctest::Approx(expected[model].proportional_bytes));
    }
  }
}

TEST_CASE("the table counts each block once and knows what is missing") {
  ct::detail::BlockTable table(200);
  ct::detail::TypedEntry<float, ct::Heap> whole("whole", ct::zeros<float>({32})), part("part", whole.tensor.slice(0, 8, 16)), other("other", ct::zeros<float>({32}));
  CHECK(part.ranges->front().first == 32);
  CHECK(part.ranges->front().last == 64);
  CHECK_FALSE(table.missing_for(*whole.block));
  CHECK(table.add(whole));
  CHECK_FALSE(table.add(part));
  CHECK(table.bytes() == 128);
  CHECK_FALSE(table.missing_for(*whole.block));
  CHECK(table.missing_for(*other.block).total == 56);
  CHECK(table.missing_for(*other.block, {.kept = 10}).total == 66);
  CHECK(table.missing_for(*other.block, {.kept = 100}).total == 156);  // what is beside the blocks may be over the maximum by itself
  CHECK(table.missing_for(*other.block).kind == 0);
  CHECK(table.on(whole.block).size() == 2);
  CHECK_FALSE(table.remove(whole));
  CHECK(table.on(part.block).front() == &part);
  CHECK(table.remove(part));
  CHECK(table.bytes() == 0);
  CHECK(table.peak() == 128);
  CHECK(table.all().empty());
}

TEST_CASE("each kind of storage has a maximum of its own") {
  ct::detail::BlockTable table(1000, {{"heap", 150}});
  ct::detail::TypedEntry<float, ct::Heap> first("first", ct::zeros<float>({32})), second("second", ct::zeros<float>({32}));
  table.add(first);
  const ct::detail::Missing missing = table.missing_for(*second.block);
  CHECK(missing.total == 0);
  CHECK(missing.kind == 128 - 22);
  CHECK_FALSE(table.missing_for("mapped", 800));
  CHECK(table.missing_for("mapped", 900).total == 28);
  CHECK(table.is_limited());
  CHECK_FALSE(ct::detail::BlockTable(std::size_t(-1)).is_limited());
  // A block that is away is known but not counted.
  table.uncount("heap", 128);
  table.record(first.block).residence = ct::detail::Residence::away;
  CHECK_FALSE(table.missing_for(*second.block));
  CHECK(table.remove(first));
  CHECK(table.bytes() == 0);
  CHECK(table.kinds().at("heap").bytes == 0);
}
