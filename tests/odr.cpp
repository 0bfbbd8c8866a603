// A second translation unit that includes what the tests include: a function that is not inline, or differs here, fails to link.
#if __has_include(<cotenant/cotenant.hpp>)
#include <cotenant/cotenant.hpp>
#endif
