// View<T>: where elements are and what shape they have. Owns nothing, counts nothing, trivially copyable.
#ifndef COTENANT_CORE_VIEW_HPP
#define COTENANT_CORE_VIEW_HPP
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include "cotenant/core/element.hpp"
#include "cotenant/core/layout.hpp"

namespace cotenant {

// T is an Element, or a const Element for reading only. What kernels take.
template <class T> requires Element<std::remove_const_t<T>> class View {
 public:
  using element_type = T;
  using value_type = std::remove_const_t<T>;

  constexpr View() = default;
  // The elements of `memory` in row-major order. Errors: ShapeError where `memory` is too small.
  View(std::span<T> memory, const Shape& shape) : View(memory, contiguous_layout(shape)) {}
  // Any layout inside `memory`. Errors: ShapeError where it reaches outside.
  View(std::span<T> memory, const Layout& layout) : View(unchecked(memory.data(), check_bounds(layout, memory.size()))) {}
  // A view to write through may be read through.
  template <class U> requires std::same_as<const U, T> && (!std::is_const_v<U>)
  constexpr View(const View<U>& other) : data_(other.data()), shape_(other.shape()), strides_(other.strides()) {}

  // For owners that checked the layout when they made it: `base` is where offset 0 lies.
  static constexpr View unchecked(T* base, const Layout& layout) {
    View view;
    view.data_ = base == nullptr ? nullptr : base + layout.offset;
    view.shape_ = layout.shape;
    view.strides_ = layout.strides;
    return view;
  }

  // The element with all indices 0.
  constexpr T* data() const { return data_; }
  constexpr const Shape& shape() const { return shape_; }
  constexpr const Strides& strides() const { return strides_; }
  constexpr std::size_t shape(std::size_t axis) const { return shape_[axis]; }
  constexpr std::ptrdiff_t stride(std::size_t axis) const { return strides_[axis]; }
  constexpr std::size_t rank() const { return shape_.rank(); }
  constexpr std::size_t size() const { return element_count(shape_); }
  constexpr Layout layout() const { return {shape_, strides_, 0}; }
  constexpr bool contiguous() const { return is_contiguous(shape_, strides_); }

  // The element at the given indices, one per dimension; asserted, not checked.
  template <std::integral... Index> constexpr T& operator()(Index... index) const {
    COTENANT_ASSERT(sizeof...(Index) == rank());
    std::size_t axis = 0;
    std::ptrdiff_t offset = 0;
    ((COTENANT_ASSERT(static_cast<std::size_t>(index) < shape_[axis]), offset += static_cast<std::ptrdiff_t>(index) * strides_[axis++]), ...);
    return data_[offset];
  }
  // The same, checked. Errors: ShapeError.
  template <std::integral... Index> constexpr T& at(Index... index) const {
    if (sizeof...(Index) != rank())
      raise<ShapeError>(Text{sizeof...(Index), " indices were given for shape ", shape_});
    std::size_t axis = 0;
    const bool inside = ((static_cast<std::size_t>(index) < shape_[axis++]) && ...);
    if (!inside) raise<ShapeError>(Text{"an index is out of range for shape ", shape_});
    return (*this)(index...);
  }
  // The elements as one span. Errors: ShapeError where they do not lie row-major without gaps.
  std::span<T> span() const {
    if (!contiguous())
      raise<ShapeError>(Text{"a view of shape ", shape_, " with strides ", strides_, " is not one span: call contiguous() on its tensor first"});
    return {data_, size()};
  }
  // Another layout of the same memory, e.g. view.with(slice(view.layout(), 0, 2, 5)).
  constexpr View with(const Layout& layout) const { return unchecked(data_, layout); }

 private:
  T* data_ = nullptr;
  Shape shape_;
  Strides strides_;
};

template <class T> View(std::span<T>, const Shape&) -> View<T>;
template <class T> View(std::span<T>, const Layout&) -> View<T>;

static_assert(std::is_trivially_copyable_v<View<float>>);
static_assert(std::convertible_to<View<float>, View<const float>> && !std::convertible_to<View<const float>, View<float>>);

}  // namespace cotenant

#endif
