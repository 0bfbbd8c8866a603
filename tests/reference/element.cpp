// The reference loops' access to elements: row-major positions of strided views, rounding on the way out.
#include <doctest/doctest.h>

#include <cotenant/reference/element.hpp>

#include <vector>

namespace cotenant::test {

TEST_CASE("a position counts through a view in row-major order, whatever its strides") {
  std::vector<float> memory{0, 1, 2, 3, 4, 5};
  const auto transposed = View<float>(std::span<float>(memory), Shape{2, 3}).with(transpose(contiguous_layout({2, 3}), 0, 1));
  CHECK(reference::element(transposed, 1) == 3.f);
  CHECK(reference::element(transposed, 4) == 2.f);
  CHECK(reference::load<double>(View<const float>(transposed), 5) == 5.0);
}

TEST_CASE("a double result is rounded to float, then to the element") {
  std::vector<bf16> memory(1);
  const View<bf16> view(std::span<bf16>(memory), Shape{1});
  // Just above the tie between 1 and the next bf16; as a float it is the tie, which goes to the even one.
  reference::store(view, 0, 1.0 + 0x1p-8 + 0x1p-40);
  CHECK(static_cast<float>(memory[0]) == 1.f);
}

}  // namespace cotenant::test
