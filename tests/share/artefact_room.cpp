// The budget and what kernels and models keep with registered bytes: what has room, what goes first, what is not counted twice.
#include "cotenant/share/artefact_room.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cotenant/share/derive.hpp"
#include "cotenant/share/manager.hpp"
#include "cotenant/storage/mapped.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace share_tests;

namespace {
ct::SharedTensor<float> filled(float value, std::size_t pages = 1) { return ct::full<float>({pages * page_bytes / sizeof(float)}, value); }
struct Doubled;
}  // namespace

TEST_CASE("artefacts count against the budget and go first where nobody uses them") {
  ct::TensorSharingManager manager{{.max_memory = 4 * page_bytes}};
  manager.register_tensor("w", filled(1), {.producer = "m"});
  const auto lease = manager.get<float>("w", "m");
  const auto make = [] { return filled(2, 2); };
  SUBCASE("in use") {
    const auto twice = ct::derive<Doubled>(*lease, make);
    CHECK(manager.stats().derived_bytes == 2 * page_bytes);
    manager.register_tensor("x", filled(3), {.producer = "m"});
    CHECK(has(message_of<ct::BudgetExceeded>([&] { manager.register_tensor("y", filled(4)); }), "8.0 KiB more are artefacts in use"));
    CHECK(manager.stats().derived_bytes == 2 * page_bytes);
  }
  SUBCASE("not in use") {
    static_cast<void>(ct::derive<Doubled>(*lease, make));
    manager.register_tensor("x", filled(3), {.producer = "m"});
    CHECK(manager.stats().derived_bytes == 2 * page_bytes);
    manager.register_tensor("y", filled(4));
    CHECK(manager.stats().derived_bytes == 0);
    CHECK(ct::derive<Doubled>(*lease, make).view()(0) == 2.0f);  // made again, and not kept: one page is left
    CHECK(manager.stats().derived_bytes == 0);
    CHECK(manager.forget("y"));
    CHECK(ct::derive<Doubled>(*lease, make).view()(0) == 2.0f);
    CHECK(manager.stats().derived_bytes == 2 * page_bytes);
    CHECK(manager.optimize_memory(ct::MemoryMode::memory).freed_derived_bytes == 2 * page_bytes);
  }
  SUBCASE("room for artefacts is what those of tensors without a lease take, no tensor goes for it") {
    manager.register_tensor("idle", filled(3), {.producer = "m"});
    static_cast<void>(ct::derive<Doubled>(*lease, make));
    CHECK(manager.stats().tensors.at("w").derived_bytes == 2 * page_bytes);
    const auto other = manager.get<float>("idle", "m");
    static_cast<void>(ct::derive<Doubled>(*other, make));
    CHECK(manager.stats().tensors.at("idle").derived_bytes == 0);  // "w" is leased, too
    auto kept = *lease;
    CHECK(manager.release("w", "m"));
    static_cast<void>(ct::derive<Doubled>(*other, make));
    CHECK(manager.stats().tensors.size() == 2);
  }
  SUBCASE("promises end where making fails") {
    struct Refused;
    for (int round = 0; round < 3; ++round)
      CHECK_THROWS_AS(ct::derive<Refused>(*lease, []() -> ct::SharedTensor<float> { ct::raise<ct::OutOfMemory>("none left"); }), ct::OutOfMemory);
    static_cast<void>(ct::derive<Doubled>(*lease, make));
    CHECK(manager.stats().derived_bytes == 2 * page_bytes);
  }
}

TEST_CASE("artefacts of tensors that outlive their manager are kept as they like") {
  ct::SharedTensor<float> tensor;
  {
    ct::TensorSharingManager manager{{.max_memory = page_bytes}};
    tensor = manager.register_tensor("w", filled(1));
    static_cast<void>(ct::derive<Doubled>(tensor, [] { return filled(2); }));
    CHECK(manager.stats().derived_bytes == 0);
  }
  static_cast<void>(ct::derive<Doubled>(tensor, [] { return filled(2); }));
  CHECK(tensor.block()->derived_if_any()->bytes() == page_bytes);
}

#if !defined(_WIN32)
TEST_CASE("pages that packed forms replace are not counted beside them") {
  const auto path = std::filesystem::temp_directory_path() / ("cotenant-replaced-" + std::to_string(reinterpret_cast<std::size_t>(&filled)));
  constexpr std::size_t weights = 4, pages = 8, bytes = pages * page_bytes;
  {
    const std::vector<float> values(weights * bytes / sizeof(float), 3.0f);
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(weights * bytes));
  }
  // Room for the file and for one form: while that is made its original is there, too.
  ct::TensorSharingManager manager{{.max_memory = (weights + 1) * bytes, .deduplicate = false}};
  using Weight = ct::SharedTensor<float, ct::Mapped>;
  const Weight file(ct::Block::adopt(ct::Mapped{}, ct::Mapped::map(path)), ct::contiguous_layout({weights, bytes / sizeof(float)}));
  std::filesystem::remove(path);
  std::vector<ct::Lease<float, ct::Mapped>> leases;
  for (std::size_t i = 0; i < weights; ++i) {
    const std::string name = "w" + std::to_string(i);
    manager.register_tensor(name, Weight(file.slice(0, static_cast<std::ptrdiff_t>(i), static_cast<std::ptrdiff_t>(i) + 1)), {.producer = "m"});
    leases.push_back(manager.get<float, ct::Mapped>(name, "m"));
  }
  struct Packed;
  const auto pack = [&](const auto& lease) { return ct::derive<Packed>(*lease, [&] { return filled(lease->view()(0, 0), pages); }, true).view()(0); };
  for (const auto& lease : leases) CHECK(pack(lease) == 3.0f);
  CHECK(manager.stats().derived_bytes == weights * bytes);
  CHECK(manager.stats().replaced_bytes == weights * bytes);
  CHECK(manager.stats().true_bytes == weights * bytes);
  CHECK(has(manager.report(), "given back"));
  CHECK(leases[1]->view()(0, 7) == 3.0f);  // who reads the originals has them
  // What is left is for others, up to the maximum. For more the forms do not go: their originals would take their place.
  manager.register_tensor("other", filled(1, pages), {.producer = "m"});
  CHECK_THROWS_AS(manager.register_tensor("more", filled(1)), ct::BudgetExceeded);
  CHECK(manager.stats().derived_bytes == weights * bytes);
  CHECK(manager.optimize_memory(ct::MemoryMode::memory).freed_derived_bytes == weights * bytes);
  CHECK(manager.stats().replaced_bytes == 0);
}
#endif
