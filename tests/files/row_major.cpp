#include "cotenant/files/row_major.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cotenant/share/tensor.hpp"

using namespace cotenant;

namespace {
struct Collector {
  std::vector<std::int32_t> elements;
  std::size_t calls = 0;
  void write(const void* data, std::size_t bytes) {
    const auto* from = static_cast<const std::int32_t*>(data);
    elements.insert(elements.end(), from, from + bytes / 4);
    ++calls;
  }
};
Collector collect(const SharedTensor<std::int32_t>& tensor) {
  Collector out;
  write_row_major(out, tensor.view().data(), tensor.view().layout(), sizeof(std::int32_t));
  return out;
}
}  // namespace

TEST_CASE("row_major: any layout, in as few pieces as it allows") {
  auto base = empty<std::int32_t>({3, 700, 2});
  std::int32_t next = 0;
  for (auto& value : base.mutable_view().span()) value = next++;
  CHECK(collect(base).calls == 1);
  CHECK(collect(base).elements.size() == 4200);
  CHECK(collect(base.slice(0, 1, 3)).calls == 1);
  CHECK(collect(base.slice(0, 0, 0)).calls == 0);
  const auto rows = collect(base.slice(2, 0, 1));  // 700 elements two apart: gathered 256 at a time
  CHECK(rows.calls == 9);
  CHECK(rows.elements[701] == 1402);
  const auto turned = collect(base.transpose(0, 2));
  CHECK(turned.elements[1] == 1400);
  CHECK(turned.elements[3] == 2);
  CHECK(turned.elements[2100] == 1);
  CHECK(collect(from<std::int32_t>({7}, {}).broadcast_to({2, 3})).elements == std::vector<std::int32_t>(6, 7));
  CHECK(collect(base.slice(0, 2, -1, -2)).elements[1400] == 0);
}
