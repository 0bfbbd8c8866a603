#include "cotenant/share/proven_equal.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <utility>

namespace ct = cotenant;

namespace {
ct::FilePlace place(std::size_t inode, std::size_t offset, std::int64_t modified = 5) {
  static std::map<std::pair<std::size_t, std::int64_t>, ct::MappedFile> files;
  return {&files.try_emplace({inode, modified}, ct::MappedFile{"/nowhere", 1, inode, nullptr, 100, modified}).first->second, offset};
}
}  // namespace

TEST_CASE("what was proven is known, also by way of a third, and for these bytes of these states only") {
  ct::detail::ProvenEqual proven;
  CHECK_FALSE(proven.knows(place(1, 0), place(2, 0), 50));
  proven.add(place(2, 0), place(1, 0), 50);
  proven.add(place(3, 8), place(1, 0), 50);
  CHECK(proven.size() == 3);
  CHECK(proven.knows(place(1, 0), place(2, 0), 50));
  CHECK(proven.knows(place(2, 0), place(3, 8), 50));
  CHECK_FALSE(proven.knows(place(2, 0), place(3, 0), 50));
  CHECK_FALSE(proven.knows(place(1, 0), place(2, 0), 49));
  CHECK_FALSE(proven.knows(place(1, 0), place(2, 0, 6), 50));
  proven.add(place(4, 0), place(5, 0), 50);
  CHECK(proven.knows(place(4, 0), place(5, 0), 50));
  CHECK_FALSE(proven.knows(place(1, 0), place(4, 0), 50));
}

TEST_CASE("it does not grow for ever") {
  ct::detail::ProvenEqual proven;
  for (std::size_t i = 0; i < ct::detail::ProvenEqual::most; ++i) proven.add(place(1, 2 * i), place(2, 2 * i), 1);
  CHECK(proven.size() <= ct::detail::ProvenEqual::most);
  CHECK(proven.knows(place(1, 2 * ct::detail::ProvenEqual::most - 2), place(2, 2 * ct::detail::ProvenEqual::most - 2), 1));
}
