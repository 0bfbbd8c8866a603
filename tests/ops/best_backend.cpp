// with_best_backend: the first candidate that this machine has, else the host's.
#include <cotenant/cpu/cpu.hpp>
#include <cotenant/ops/best_backend.hpp>

#include <optional>
#include <string>
#include <string_view>

#include "support.hpp"

namespace cotenant::test {
namespace {
struct Absent : Reference {
  static std::optional<Absent> create() { return std::nullopt; }
};
struct Present : Reference {
  static constexpr std::string_view name() { return "present"; }
  static std::optional<Present> create() { return Present{}; }
};
const auto name_of = [](auto& backend) { return std::string(backend.name()); };
}  // namespace

TEST_CASE("the first candidate that is there is taken; without one, the host's backend") {
  CHECK(with_best_backend(name_of) == "cpu");
  CHECK(with_best_backend<Absent>(name_of) == "cpu");
  CHECK(with_best_backend<Absent, Present>(name_of) == "present");
  CHECK(with_best_backend<Present, Absent>(name_of) == "present");
}

TEST_CASE("what is chosen says where its tensors lie") {
  const auto x = from({1.f, 2.f, 3.f}, {3});
  const float sum = with_best_backend<Absent>([&](auto& backend) { return reduce_sum(x.copy_to(backend.storage())).template copy_to<Heap>().view()(); });
  CHECK(sum == 6.f);
}
}  // namespace cotenant::test
