// What is known to have no room, and when that is forgotten.
#include "cotenant/share/refusals.hpp"

#include <doctest/doctest.h>

#include <cstddef>

#include "cotenant/share/derive.hpp"
#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using ct::detail::Refusals;

TEST_CASE("what takes as much as what was refused has no room either, until it is forgotten") {
  Refusals refusals;
  CHECK_FALSE(refusals.any());
  CHECK_FALSE(refusals.contain(1000));
  refusals.note(100);
  CHECK(refusals.any());
  refusals.note(200);
  CHECK(refusals.contain(100));
  CHECK(refusals.contain(1000));
  CHECK_FALSE(refusals.contain(99));
  refusals.forget();
  CHECK_FALSE(refusals.contain(1000));
}

namespace {
using share_tests::page_bytes;
ct::SharedTensor<float> pages(std::size_t count) { return ct::full<float>({count * page_bytes / sizeof(float)}, 1.f); }
struct Twice;
struct Small;
}  // namespace

// Room for six pages: two of "w", one of "held", and three for artefacts, of which those of "held" take two.
TEST_CASE("an artefact that was refused is kept as soon as there is room for it, however that came about") {
  ct::TensorSharingManager manager{{.max_memory = 6 * page_bytes}};
  manager.register_tensor("w", pages(2), {.producer = "m"});
  manager.register_tensor("held", pages(1), {.producer = "other", .consumers = {"third"}});
  const auto w = manager.get<float>("w", "m");
  std::size_t made = 0;
  const auto kept = [&](const ct::Lease<float>& lease) {
    static_cast<void>(ct::derive<Twice>(*lease, [&] { return ++made, pages(2); }));
    const std::size_t before = made;
    static_cast<void>(ct::derive<Twice>(*lease, [&] { return ++made, pages(2); }));
    return made == before;
  };
  auto held = manager.get<float>("held", "other");
  REQUIRE(kept(held));
  CHECK_FALSE(kept(w));
  CHECK_FALSE(kept(w));
  SUBCASE("a smaller one fits all the while") {
    static_cast<void>(ct::derive<Small>(*w, [] { return pages(1); }));
    CHECK(manager.stats().derived_bytes == 3 * page_bytes);
    CHECK_FALSE(kept(w));
  }
  SUBCASE("the last lease of a tensor with artefacts ends, as an object or by name") {
    auto second = manager.get<float>("held", "third");
    CHECK(manager.release("held", "other"));
    held = {};
    CHECK_FALSE(kept(w));  // the producer's own lease ended with the name; the third model still holds it
    second = {};
    CHECK(kept(w));
  }
  SUBCASE("a model goes") {
    held = {};
    manager.release_model("other");
    CHECK(kept(w));
  }
  SUBCASE("a tensor is forgotten") {
    held = {};
    manager.release_model("other");
    CHECK(manager.forget("held"));
    CHECK(kept(w));
  }
  SUBCASE("a tensor is pinned no more") {
    manager.pin("held");
    held = {};
    manager.release_model("other");
    CHECK_FALSE(kept(w));
    manager.unpin("held");
    CHECK(kept(w));
  }
  SUBCASE("unused artefacts are dropped on purpose") {
    CHECK(manager.optimize_memory(ct::MemoryMode::memory).freed_derived_bytes == 2 * page_bytes);
    CHECK(kept(w));
  }
  SUBCASE("what a tensor was made into goes because it is written") {
    held = {};
    manager.release_model("other");
    manager.write<float>("held", "other").view()(0) = 2.f;
    CHECK(kept(w));
  }
}
